"""The MapLibre style layers of the demo's map, for a dark room and for daylight. The console adds its own source named `city`."""

from __future__ import annotations

from typing import Any

Layer = dict[str, Any]

PALETTES = {
    "dark": {
        "void": "#0b0f14",
        "land": "#131a23",
        "water": "#0e2a3f",
        "green": "#14251f",
        "square": "#1a222d",
        "paved": "#171f29",
        "building": "#1c2632",
        "building_line": "#263343",
        "road": "#39475a",
        "road_minor": "#2d3947",
        "path": "#273240",
        "casing": "#10161e",
        "rail": "#33404f",
        "tree": "#1d3a2b",
        "label": "#b4c1cf",
        "label_minor": "#8fa0b2",
        "halo": "#0b0f14",
    },
    "day": {
        "void": "#dfe5ea",
        "land": "#f1f3f2",
        "water": "#b5d3e7",
        "green": "#d3e6cf",
        "square": "#e9e8e3",
        "paved": "#e8eaea",
        "building": "#dcdcd8",
        "building_line": "#c5c6c3",
        "road": "#ffffff",
        "road_minor": "#ffffff",
        "path": "#e3ddd0",
        "casing": "#c3cad0",
        "rail": "#b1b6bb",
        "tree": "#b4d3ab",
        "label": "#2b3742",
        "label_minor": "#55636f",
        "halo": "#f6f8f8",
    },
}

ROADS = ["primary", "secondary", "tertiary", "residential"]
TRANSIT = ["tram_stop", "subway_entrance"]
MINOR = ["bank", "pharmacy", "hotel", "cinema"]
PATHS = ["service", "pedestrian", "cycleway", "footway", "steps"]


def style_layers(theme: str) -> list[Layer]:
    """The layers from bottom to top; `theme` is "dark" or "day"."""
    colour = PALETTES[theme]
    return [
        {"id": "void", "type": "background", "paint": {"background-color": colour["void"]}},
        _fill("land", "land", colour["land"]),
        _fill(
            "landuse",
            "landuse",
            [
                "match",
                ["get", "class"],
                ["park", "grass", "wood", "wetland", "playground", "pitch"],
                colour["green"],
                "square",
                colour["square"],
                colour["paved"],
            ],
        ),
        _fill("water", "water", colour["water"]),
        {
            **_tiles("tree", "tree"),
            "type": "circle",
            "minzoom": 16,
            "paint": {"circle-color": colour["tree"], "circle-radius": _grow(16, 1.5, 19, 9), "circle-blur": 0.3},
        },
        _line("rail", "rail", colour["rail"], _grow(12, 0.5, 18, 2.5), ["!", ["has", "tunnel"]]),
        _line("path", "road", colour["path"], _grow(14, 0.5, 18, 5), ["all", _is(PATHS), ["!", ["has", "tunnel"]]]),
        _line("road-casing", "road", colour["casing"], _road_width(1.6), ["all", _is(ROADS), ["!", ["has", "tunnel"]]]),
        _line("road-minor", "road", colour["road_minor"], _road_width(1.0), ["all", _is(["residential"]), ["!", ["has", "tunnel"]]]),
        _line(
            "road", "road", colour["road"], _road_width(1.0), ["all", _is(["primary", "secondary", "tertiary"]), ["!", ["has", "tunnel"]]]
        ),
        {
            **_tiles("building", "building"),
            "type": "fill",
            "minzoom": 13,
            "paint": {"fill-color": colour["building"], "fill-outline-color": colour["building_line"]},
        },
        _label("housenumber", "housenumber", "number", 10, colour["label_minor"], colour["halo"], 17.5),
        {
            **_label("road-name", "road_name", "name", 12, colour["label"], colour["halo"], 13),
            "layout": {**_text("name", 12), "symbol-placement": "line", "symbol-spacing": 320},
        },
        {**_label("transit", "poi", "name", 10, colour["label_minor"], colour["halo"], 17.5), "filter": _is(TRANSIT)},
        {**_label("poi-minor", "poi", "name", 10, colour["label_minor"], colour["halo"], 17), "filter": _is(MINOR)},
        {**_label("poi", "poi", "name", 11, colour["label_minor"], colour["halo"], 15.5), "filter": ["!", _is([*TRANSIT, *MINOR])]},
        _label("place", "place", "name", 13, colour["label"], colour["halo"], 11),
    ]


def _tiles(layer_id: str, source_layer: str) -> Layer:
    return {"id": layer_id, "source": "city", "source-layer": source_layer}


def _fill(layer_id: str, source_layer: str, colour: Any) -> Layer:
    return {**_tiles(layer_id, source_layer), "type": "fill", "paint": {"fill-color": colour}}


def _line(layer_id: str, source_layer: str, colour: str, width_px: Any, keep: Any) -> Layer:
    return {
        **_tiles(layer_id, source_layer),
        "type": "line",
        "filter": keep,
        "layout": {"line-cap": "round", "line-join": "round"},
        "paint": {"line-color": colour, "line-width": width_px},
    }


def _text(key: str, size_px: int) -> Layer:
    return {"text-field": ["get", key], "text-font": ["Inter"], "text-size": size_px, "text-max-width": 8}


def _label(layer_id: str, source_layer: str, key: str, size_px: int, colour: str, halo: str, min_zoom: float) -> Layer:
    return {
        **_tiles(layer_id, source_layer),
        "type": "symbol",
        "minzoom": min_zoom,
        "layout": _text(key, size_px),
        "paint": {"text-color": colour, "text-halo-color": halo, "text-halo-width": 1.4},
    }


def _is(classes: list[str]) -> Any:
    return ["in", ["get", "class"], ["literal", classes]]


def _grow(from_zoom: float, from_px: float, to_zoom: float, to_px: float) -> Any:
    return ["interpolate", ["exponential", 1.6], ["zoom"], from_zoom, from_px, to_zoom, to_px]


def _road_width(factor: float) -> Any:
    def by_class(primary: float, secondary: float, other: float) -> Any:
        return ["match", ["get", "class"], "primary", primary * factor, "secondary", secondary * factor, other * factor]

    return [
        "interpolate",
        ["exponential", 1.6],
        ["zoom"],
        10,
        by_class(1.0, 0.8, 0.4),
        14,
        by_class(3.2, 2.6, 1.6),
        18,
        by_class(18, 15, 11),
    ]
