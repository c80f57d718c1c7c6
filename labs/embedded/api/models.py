"""The fields of each kind, and their types, out of the `kubernetes` client's own models.

Their source files are read, not imported: importing the client costs half a second and 40 MB, and three literals of each
class are all that is needed. Knows nothing of what the API serves.
"""

import ast
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Field:
    """A field: its name in JSON, and its type as the client writes it ("str", "List[V1ServicePort]", "Dict[str, str]", …)."""

    name: str
    type: str

    @property
    def item(self) -> str:
        """The type of a list's items or a map's values; "" for any other type."""
        found = re.fullmatch(r"[Ll]ist\[(.+)\]|[Dd]ict[(\[]str, (.+)[)\]]", self.type)
        return (found[1] or found[2]) if found else ""

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return self.type.lower().startswith("list[")

    @property
    def is_map(self) -> bool:
        """Whether it is a map of texts to something."""
        return self.type.lower().startswith("dict")


@cache
def fields(model: str) -> dict[str, Field]:
    """The fields of a model by their name in JSON, in their order. Raises KeyError where the client has no such model."""
    text = _source(model)
    types, names = _literal(text, "openapi_types"), _literal(text, "attribute_map")
    return {names[one]: Field(names[one], types[one]) for one in types}


def is_model(type: str) -> bool:
    """Whether a type is a model of its own."""
    return type in _files()


def struct(model: str) -> str:
    """What Go calls the type that a model is."""
    return re.sub(r"^(Core|Discovery|Events)?V1", "", model)


# Where models say what a field is: clients from 37 on in `Field(description="…")`, those before in a property's docstring.
_SAID_NEW = re.compile(r'^    (\w+): [^=\n]+ = Field\(.*?description=("(?:[^"\\\n]|\\.)*")', re.MULTILINE)
_SAID_OLD = re.compile(
    r'    @property\n    def (\w+)\(self\):\n        """Gets[^\n]*\n\n(.*?)(?:  # noqa: E501)?\n\n        :return', re.DOTALL
)
_SAID_CLASS = re.compile(r'^class \w+\(BaseModel\):\n    """\n(.*?)\n\n', re.MULTILINE | re.DOTALL)


@cache
def describe(model: str) -> dict[str, str]:
    """What the client says of each field, by its name in JSON; "" of the model itself."""
    text = _source(model)
    names = _literal(text, "attribute_map")
    whole = _SAID_CLASS.search(text)
    said = {"": " ".join(whole[1].split()) if whole else ""}
    for name, quoted in _SAID_NEW.findall(text):
        if name in names:
            said[names[name]] = str(ast.literal_eval(quoted))
    for name, words in _SAID_OLD.findall(text) if "@property" in text else ():
        if name in names:
            said[names[name]] = " ".join(words.split())
    return said


@cache
def _files() -> dict[str, Path]:
    spec = importlib.util.find_spec("kubernetes")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("kubernetes")
    folder = Path(spec.origin).parent / "client" / "models"
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    found = re.findall(r"^\s*from kubernetes\.client\.models\.(\w+) import (\w+)", text, re.MULTILINE)
    return {name: folder / f"{module}.py" for module, name in found}


@cache
def _source(model: str) -> str:
    return _files()[model].read_text(encoding="utf-8")


def _literal(text: str, name: str) -> dict[str, str]:
    found = re.search(rf"^    {name}(?:: [^=\n]+)? = (\{{.*?^    \}}|\{{\s*\}})", text, re.MULTILINE | re.DOTALL)
    read = ast.literal_eval(found[1]) if found else {}
    return {str(key): str(value) for key, value in read.items()}
