"""Weights from elsewhere and for elsewhere: files, downloads, import and export."""
