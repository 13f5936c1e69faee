"""Schemas are closed: what they refuse is said in one sentence, what is not set has its default."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hed.config import schema
from hed.errors import InputError

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "seed": {"type": "integer", "minimum": 0, "default": 3},
        "name": {"type": ["string", "null"], "pattern": "^[a-z]*$", "default": "x"},
        "mode": {"enum": ["by_drug", "by_cell"], "default": "by_drug"},
        "sizes": {"type": "array", "items": {"type": "integer"}, "default": [1, 2]},
        "share": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "validation": {"type": "number", "exclusiveMaximum": 1, "default": 0.2},
                "test": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.1},
            },
        },
    },
}
DEFAULTS = schema.defaults(SCHEMA)
VALUES = {
    "seed": st.integers(0, 9),
    "name": st.none() | st.just("abc"),
    "mode": st.sampled_from(["by_drug", "by_cell"]),
    "sizes": st.lists(st.integers()),
    "share": st.fixed_dictionaries({}, optional={"validation": st.floats(0, 0.5)}),
}


def refuse(value):
    """Return the sentence with which a value is refused."""
    with pytest.raises(InputError) as caught:
        schema.check(value, SCHEMA, source="here")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"sede": 1}, "unknown key 'sede' in here; did you mean 'seed'?"),
        ({"share": {"tset": 1}}, "unknown key 'share.tset' in here; did you mean 'test'?"),
        ({"seed": "1"}, 'seed in here must be of type integer, not "1"'),
        ({"seed": None}, "seed in here must be of type integer, not null"),
        ({"seed": True}, "seed in here must be of type integer, not true"),
        ({"seed": -1}, "seed in here must be at least 0, not -1"),
        ({"name": 1}, "name in here must be of type string or null, not 1"),
        ({"mode": "x"}, 'mode in here must be one of by_drug, by_cell, not "x"'),
        ({"sizes": [1, "a"]}, 'sizes.1 in here must be of type integer, not "a"'),
        ({"share": {"validation": 1}}, "share.validation in here must be less than 1, not 1"),
        ({"share": {"test": 0}}, "share.test in here must be greater than 0, not 0"),
        ({"share": {"test": 2}}, "share.test in here must be at most 1, not 2"),
        ({"share": None}, "share in here must be of type object, not null"),
        ({"share": "x"}, 'share in here must be of type object, with keys of its own, not "x"'),
        ([], "here must be of type object, not []"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_sentence(value, sentence):
    assert refuse(value) == sentence


def test_a_name_that_is_no_name_is_refused_in_words():
    assert refuse({"name": "A B"}).startswith("name in here must be a name of letters, digits")


def test_a_missing_key_is_named():
    needy = {"type": "object", "required": ["id"], "properties": {"id": {}}}
    with pytest.raises(InputError, match="here lacks 'id'"):
        schema.check({}, needy, source="here")


def test_a_number_with_a_point_is_no_integer_since_no_command_takes_it_for_one():
    assert refuse({"seed": 20.0}) == "seed in here must be of type integer, not 20.0"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_is_finite(value):
    assert "must be of type number" in refuse({"share": {"test": value}})


def test_an_unknown_name_that_is_like_none_is_answered_with_those_there_are():
    assert refuse({"zzz": 1}).endswith("known are seed, name, mode, sizes, share")


def test_at_most_six_known_names_are_listed():
    assert schema.nearest("zzz", [f"a{i}" for i in range(7)]).endswith("a4, a5, ...")


def test_the_noun_of_the_source_is_used():
    with pytest.raises(InputError, match="unknown hyperparameter 'sede'"):
        schema.check({"sede": 1}, SCHEMA, source="here", noun="hyperparameter")


def test_defaults_are_those_of_the_schema_at_every_level():
    assert DEFAULTS == {
        "seed": 3,
        "name": "x",
        "mode": "by_drug",
        "sizes": [1, 2],
        "share": {"validation": 0.2, "test": 0.1},
    }


@given(value=st.fixed_dictionaries({}, optional=VALUES))
def test_a_completed_value_has_what_was_set_and_the_defaults_of_the_rest(value):
    schema.check(value, SCHEMA, source="here")
    completed = schema.complete(value, SCHEMA)
    schema.check(completed, SCHEMA, source="here")
    share = {**DEFAULTS["share"], **value.get("share", {})}
    assert completed == {**DEFAULTS, **value, "share": share}
    assert schema.complete(completed, SCHEMA) == completed


def test_completing_does_not_change_what_was_given():
    given_value = {"share": {}}
    schema.complete(given_value, SCHEMA)
    assert given_value == {"share": {}}
