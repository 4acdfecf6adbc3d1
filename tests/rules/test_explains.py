import pytest

from nntrace.rules import all_rules

# The families of the catalogue and the highest number each has given out.
FAMILIES = "DAT23 LOS24 INI05 ACT14 GRD11 UPD18 PAR07 NUM09 RUN15 DST06 PRB09"
HIGHEST = {word[:3]: int(word[3:]) for word in FAMILIES.split()}


@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.code)
def test_a_rule_explains_only_codes_of_the_catalogue(rule):
    for code in (rule.code, *rule.explains):
        assert 1 <= int(code[3:]) <= HIGHEST[code[:3]]
    assert len(set(rule.explains)) == len(rule.explains)
    assert rule.code not in rule.explains
