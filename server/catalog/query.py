"""What a request asks for: parsed, checked and brought to a normal form once. Pure."""

from typing import Annotated, Any, Literal, get_args
from urllib.parse import parse_qsl, urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from server.catalog.snapshot import DEPTH
from server.errors import InvalidParameters, ParameterFault, UriTooLong

MAX_QUERY_LENGTH = 4096  # characters
SHOWN = 100  # characters of a wrong value that an error repeats

AlbumType = Literal["album", "single", "ep", "compilation"]
Exclusion = Literal["various_artists", "versions"]
Sort = Literal["released", "-released", "seen", "-seen", "name", "-name"]


def _digits(value: Any) -> Any:
    """Only plain digits are a number here; int() would take `+5`, ` 5`, `1_000` and `٥` too."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise ValueError("must be a whole number in plain digits")
    return value


def _comma_list(choices: Any) -> BeforeValidator:
    """`single,album` in the order of the contract, which is that of `choices`, each once."""
    order = {name: place for place, name in enumerate(get_args(choices))}

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(sorted(set(value.split(",")), key=lambda name: (order.get(name, -1), name)))

    return BeforeValidator(read)


WholeNumber = Annotated[int, BeforeValidator(_digits)]


class ArtistsQuery(BaseModel):
    """The parameters of `GET /api/artists/`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    release_limit: WholeNumber = Field(
        20, ge=1, le=DEPTH, description="Artists of the latest N releases (of those wanted)."
    )
    limit: Annotated[int, Field(ge=1, le=500), BeforeValidator(_digits)] | None = Field(
        None, description="At most so many artists; all when not given."
    )
    offset: WholeNumber = Field(0, ge=0, le=1_000_000, description="Skip so many artists.")
    type: Annotated[tuple[AlbumType, ...], _comma_list(AlbumType)] = Field(
        (), description="Comma list of wanted types; all, even unknown ones, when not given."
    )
    exclude: Annotated[tuple[Exclusion, ...], _comma_list(Exclusion)] = Field(
        (),
        description="Comma list of what is left out: releases by Various Artists; all versions of "
        "a release but one (deluxe, explicit, remastered, sped up and the like, of one year).",
    )
    sort: Sort = Field("-released", description="Order of the artists; - is descending.")

    @property
    def href(self) -> str:
        """The normal form: what was understood, without defaults, in a fixed order."""
        values = {
            name: ",".join(value) if isinstance(value, tuple) else value
            for name, value in self.model_dump(exclude_defaults=True).items()
        }
        return "/api/artists/" + ("?" + urlencode(values, safe=",") if values else "")

    def page(self, offset: int, limit: int) -> "ArtistsQuery":
        """Another page of the same query."""
        return self.model_copy(update={"offset": offset, "limit": limit})


def parse(query_string: str) -> ArtistsQuery:
    """Read a raw query string. Unknown names are ignored.

    Raises InvalidParameters naming every fault, or UriTooLong.
    """
    if len(query_string) > MAX_QUERY_LENGTH:
        raise UriTooLong(f"The query string may have {MAX_QUERY_LENGTH} characters.")
    given: dict[str, str] = {}
    faults: list[ParameterFault] = []
    for name, value in parse_qsl(query_string, keep_blank_values=True, errors="replace"):
        if name in given:
            faults.append(ParameterFault(name, value[:SHOWN], "is given more than once"))
        elif name in ArtistsQuery.model_fields:
            given[name] = value
    try:
        query = ArtistsQuery.model_validate(given)
    except ValidationError as error:
        reasons: dict[str, str] = {}
        for detail in error.errors():
            reasons.setdefault(str(detail["loc"][0]), _reason(detail))
        faults += [ParameterFault(name, given[name][:SHOWN], reasons[name]) for name in reasons]
    if faults:
        order = list(ArtistsQuery.model_fields)
        raise InvalidParameters(sorted(faults, key=lambda fault: order.index(fault.parameter)))
    return query


def _reason(detail: Any) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    return str(detail["msg"]).replace("Input should be", "must be")
