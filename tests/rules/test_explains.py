import pytest

from nntrace.rules import all_rules

# The highest number each family of the catalogue has given out.
CATALOGUE = {
    **{"DAT": 20, "LOS": 24, "INI": 5, "ACT": 13, "GRD": 10, "UPD": 17, "PAR": 7, "NUM": 9},
    **{"RUN": 13, "DST": 6, "PRB": 9},
}


@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.code)
def test_a_rule_explains_only_codes_of_the_catalogue(rule):
    for code in (rule.code, *rule.explains):
        assert 1 <= int(code[3:]) <= CATALOGUE[code[:3]]
    assert len(set(rule.explains)) == len(rule.explains)
    assert rule.code not in rule.explains
