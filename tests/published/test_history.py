"""The winners by year and the batch norm paper's runs."""

from goingdeeper.published import bn_runs, winners


def test_the_winners_error_falls_as_networks_deepen() -> None:
    first = {w.year: w for w in reversed(winners()) if w.place == 1 and "person" not in w.entry}
    assert (first[2012].top5_error, first[2012].layers) == (16.4, 8)
    assert (first[2014].top5_error, first[2014].layers) == (6.7, 22)
    assert (first[2015].top5_error, first[2015].layers) == (3.57, 152)
    errors = [first[year].top5_error for year in sorted(first)]
    assert errors == sorted(errors, reverse=True)


def test_a_trained_person_is_the_yardstick() -> None:
    assert winners()[-1].top5_error == 5.1


def test_batch_norm_saves_steps() -> None:
    """Ioffe and Szegedy 2015, Figure 3."""
    runs = {run.run: run for run in bn_runs()}
    assert len(runs) == 5
    assert runs["BN-x5"].million_steps_to_72_2 == 2.1
    assert runs["BN-x30"].max_top1_accuracy == 74.8
    assert runs["BN-x5-Sigmoid"].million_steps_to_72_2 is None
    assert "Batch normalization" in runs["BN-Baseline"].source


def test_an_entry_of_the_chart_knows_whose_it_is() -> None:
    entries = {w.entry.split(" (")[0]: w for w in winners()}
    assert (entries["VGG"].network, entries["VGG"].models, entries["VGG"].deepest) == ("vgg", 7, "vgg-19")
    zeiler = entries["Zeiler and Fergus"]
    assert (zeiler.own, zeiler.own_error) == ("Zeiler and Fergus 2014", 14.8)
    assert "Clarifai" in zeiler.erratum("top5_error")
    assert zeiler.erratum("layers") == ""
