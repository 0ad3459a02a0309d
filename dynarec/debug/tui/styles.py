"""How the interface looks, in Textual's CSS; colours are the theme's."""

CSS = """
Screen { layout: vertical; }
#status { height: 1; background: $primary-background; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
#status.-running { background: $success-darken-2; color: $text; }
#status.-stopped { background: $primary; color: $text; }
#status.-ended { background: $error-darken-1; color: $text; }
#tabs { height: 1; background: $surface; color: $text-muted; padding: 0 1; text-wrap: nowrap; }
#body { height: 1fr; layout: horizontal; }
#left { width: 3fr; height: 100%; }
#right { width: 2fr; height: 100%; }
.pane { height: 1fr; border: round $surface-lighten-2; border-title-color: $text-muted; padding: 0; }
.pane:focus, .pane:focus-within { border: round $accent; border-title-color: $text-accent; }
#code { height: 2fr; }
#registers { height: auto; max-height: 50%; }
#breakpoints { height: auto; min-height: 4; max-height: 30%; }
Listing { background: $background; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }
#console { background: $background; }
#console Listing { height: 1fr; border: none; }
#log { height: 6; border-top: solid $surface-lighten-2; background: $background; }
#prompt { height: 1; }
#prompt Label { width: auto; color: $text-accent; text-style: bold; padding: 0 0 0 1; }
Input, Input:focus { border: none; height: 1; padding: 0 1; background: $surface; }
.-narrow .pane, .-narrow .pane:focus, .-narrow .pane:focus-within { border: none; height: 1fr; max-height: 100%; }
.-narrow #log { border: none; border-top: solid $surface-lighten-2; height: 5; }
.listing--address { color: $text-secondary; }
.listing--name { color: $text-accent; }
.listing--source { color: $text-success; }
.listing--faint { color: $text-muted; }
.listing--changed { color: $text-warning; text-style: bold; }
.listing--mark { color: $text-error; text-style: bold; }
.listing--error { color: $text-error; }
.listing--input { color: $text-accent; text-style: bold; }
.listing--heading { text-style: bold; color: $text-primary; }
.listing--here { background: $primary 30%; }
.listing--cursor { background: $surface-lighten-2; text-style: bold; }
"""
