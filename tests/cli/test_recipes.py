import json

import pytest


def test_the_table_names_every_recipe_under_its_paper(deeper):
    said = deeper("recipes")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert lines[0].split() == ["recipe", "networks", "epochs", "batch", "optimiser", "rate"]
    row = next(line for line in lines if line.startswith("googlenet-bvlc "))
    assert row.split() == ["googlenet-bvlc", "googlenet", "249.8", "32", "CaffeSGD", "0.01"]
    assert lines.index("Szegedy et al., Going deeper with convolutions (2014)") < lines.index(row)
    firsts = {line.split(" ")[0] for line in lines}
    assert {"scratch", "finetune", "alexnet", "vgg", "dsn-3", "fitnet-hint", "signs", "a3"} <= firsts


def test_one_recipe_shows_settings_with_their_places(deeper):
    said = deeper("recipes", "inception-v3-released")
    assert said.status == 0
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    assert lines[0].startswith("inception-v3-released: Szegedy et al., Rethinking")
    assert "optimiser RMSProp released script" in lines
    assert "norm_decay 0.9997 released script" in lines
    assert "clip 2 section 8; inferred: of the global norm, after Pascanu et" in " ".join(lines)


@pytest.mark.parametrize("names", [(), ("nin",)])
def test_json(deeper, names):
    document = json.loads(deeper("recipes", *names, "--json").out)
    assert document["schema"] == 1
    found = {one["name"]: one for one in document["recipes"]}
    assert len(found) == (1 if names else 42)
    assert found["nin"]["source"] == "Lin et al., Network in network (2013)"
    assert found["nin"]["settings"]["optimiser.weight_decay"] == 1e-4
    assert found["nin"]["printed"]["batch"] == "section 4.1"


def test_unknown_names_suggest_close_ones(deeper):
    text = deeper("recipes", "gogglenet").refusal(2)
    assert "unknown recipe 'gogglenet'; did you mean googlenet" in text
    assert text.endswith("`deeper recipes` lists them\n")


def test_a_network_in_place_of_a_recipe_is_told_its_recipes(deeper):
    text = deeper("recipes", "resnet-50").refusal(2)
    assert "'resnet-50' is a network" in text and "resnet-imagenet, resnet-imagenet-steps" in text
    assert "`deeper recipes scratch`" in deeper("recipes", "resnet-50-c").refusal(2)


def test_names_are_completed():
    from goingdeeper.cli.recipes import _names

    assert _names(None, None, "resnet-c") == ["resnet-cifar", "resnet-cifar-110"]
