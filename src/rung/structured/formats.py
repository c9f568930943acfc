"""String formats as patterns, for engines that enforce patterns but not formats.

Each matches a finite part of its format's language, so that what an engine writes under it is also
valid for a validator that asserts formats. Sources: RFC 3339 (dates and times), RFC 4122 (uuid),
RFC 5321 (email), RFC 1123 (hostname), RFC 4291 (ipv6), RFC 3986 (uri), ISO 8601 (duration).
"""

from __future__ import annotations

_DATE = (
    r"[12]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
)
_TIME = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
_LABEL = r"[a-z0-9]{1,20}(-[a-z0-9]{1,20})?"
_HOST = rf"{_LABEL}(\.{_LABEL}){{0,2}}"
_OCTET = r"(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PATH = r"(/[A-Za-z0-9_.~-]{0,24}){0,4}"
_URI = rf"https?://{_HOST}{_PATH}(\?[A-Za-z0-9=&_-]{{1,40}})?"
_EMAIL = rf"[A-Za-z0-9_+-]{{1,24}}(\.[A-Za-z0-9_+-]{{1,24}})?@{_LABEL}(\.{_LABEL}){{1,2}}"

FORMATS: dict[str, str] = {
    name: f"^{pattern}$"
    for name, pattern in {
        "date": _DATE,
        "time": _TIME,
        "date-time": f"{_DATE}T{_TIME}",
        "duration": r"P(\d{1,4}D|\d{1,3}W|T\d{1,3}H(\d{1,3}M)?|T\d{1,4}M|\d{1,3}Y)",
        "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "email": _EMAIL,
        "idn-email": _EMAIL,
        "hostname": _HOST,
        "idn-hostname": _HOST,
        "ipv4": rf"{_OCTET}(\.{_OCTET}){{3}}",
        "ipv6": r"[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}",
        "uri": _URI,
        "iri": _URI,
        "uri-reference": rf"({_URI}|/[A-Za-z0-9_.~-]{{0,24}}{_PATH})",
        "iri-reference": rf"({_URI}|/[A-Za-z0-9_.~-]{{0,24}}{_PATH})",
        "json-pointer": r"(/[A-Za-z0-9_-]{1,24}){0,6}",
        "relative-json-pointer": r"\d(/[A-Za-z0-9_-]{1,24}){0,6}",
        "uri-template": rf"{_URI}",
        "regex": r"[A-Za-z0-9 _-]{1,60}",
    }.items()
}

# Formats that are not known by name to engines whose models write more than a finite part of them:
# all of the format, or nearly. Percent signs come with two digits, brackets not at all.
_CHARACTER = r"([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_FIRST = r"([A-Za-z0-9._~!$&'()*+,;=@-]|%[0-9A-Fa-f]{2})"
_AUTHORITY = r"//[A-Za-z0-9._~-]*(:[0-9]{1,5})?"
_REST = rf"(/{_CHARACTER}*)*"
_END = rf"(\?({_CHARACTER}|[/?])*)?(#({_CHARACTER}|[/?])*)?"
_WHOLE_URI = rf"[A-Za-z][A-Za-z0-9+.-]*:({_AUTHORITY}{_REST}|{_CHARACTER}+{_REST}){_END}"
_REFERENCE = (
    rf"({_WHOLE_URI}|({_AUTHORITY}{_REST}|/|/{_CHARACTER}+{_REST}|{_FIRST}+{_REST})?{_END})"
)
_POINTER = r"(/([^/~]|~[01])*)*"

WHOLE_FORMATS: dict[str, str] = {
    "uri": f"^{_WHOLE_URI}$",
    "iri": f"^{_WHOLE_URI}$",
    "uri-reference": f"^{_REFERENCE}$",
    "iri-reference": f"^{_REFERENCE}$",
    "json-pointer": f"^{_POINTER}$",
    "relative-json-pointer": rf"^(0|[1-9][0-9]*)(#|{_POINTER})$",
}
