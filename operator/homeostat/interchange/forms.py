"""What a text must look like, in words, where the pattern of the schema alone would have to be deciphered. Pure."""

_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DOTTED = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_HOST = r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?)"
_PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
FORMS = {
    r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$": 'a number in quotes such as "99.9"',
    r"^[1-9][0-9]{0,6}(s|m|h|d|w)$": "a time of one unit such as 30d or 4w",
    r"^([0-9]{1,9}(ms|s|m|h))+$": "a time such as 500ms, 30s or 1h30m",
    r"^([0-9]{1,9}(ms|s|m|h|d|w))+$": "a time such as 30s, 1h30m or 7d",
    r"^(100|[0-9]{1,2})(\.[0-9]{1,6})?%$": "a share such as 25%",
    r"^([0-9]{1,6}|(100|[0-9]{1,2})%)$": "a count or a share such as 1 or 25%",
    f"^{_NAME}$": "a name of lower-case letters, digits and -",
    f"^({_NAME})?$": "a name of lower-case letters, digits and -",
    f"^{_DOTTED}$": "a name of lower-case letters, digits, - and .",
    f"^https?://{_HOST}(:{_PORT})?([/?#][!-~]*)?$": "an http or https URL without user and password",
    f"^{_HOST}:{_PORT}$": "HOST:PORT such as db:5432",
    r"^/[!-~]*$": "a path such as /healthz",
    r"^([1-5]xx|[1-5][0-9]{2}(-[1-5][0-9]{2})?)$": "a status such as 200, 2xx or 200-299",
    r"^(<|<=|>|>=|==|!=) ?-?[0-9]+(\.[0-9]+)?(e-?[0-9]+)?$": "a comparison such as < 0.05",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": "a time of day such as 22:00",
    r"^\+([1-9][0-9]{0,3}|[1-9][0-9]{0,2}%)$": "an addition such as +1 or +50%",
    r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$": "a quantity such as 256Mi",
    r"^[0-9]{1,9}(bit|Kbit|Mbit|Gbit)$": "a bandwidth such as 1Mbit",
}
"""By pattern."""


def unlike(pattern: str) -> str:
    """Say of a text that it is not what a pattern takes: in words, or by the pattern itself."""
    form = FORMS.get(pattern)
    return f"is not {form}" if form else f"does not match {pattern}"
