"""What goes on inside of a network, any module of torch: measured, and nothing of it changed."""
