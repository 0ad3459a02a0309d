"""How the interface looks, in Textual's CSS; colours are the theme's."""

CSS = """
Screen { layout: vertical; }
#status { height: 1; background: $primary; color: $text; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
#status.-frozen { background: $accent; color: $text; }
#status.-noted { background: $warning-darken-1; color: $text; height: auto; max-height: 3; text-wrap: wrap; }
#tabs { height: 1; background: $surface; color: $text-muted; padding: 0 1; text-wrap: nowrap; }
#facts { height: 1; background: $surface; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
#prompt { height: 1; background: $surface; }
#prompt Label { width: auto; color: $text-accent; text-style: bold; padding: 0 0 0 1; }
Input, Input:focus { border: none; height: 1; padding: 0 1; background: $surface; }
.band { height: 1fr; layout: horizontal; }
#upper { height: 14fr; }
#middle { height: 16fr; }
#lower { height: 11fr; }
.pane { height: 100%; width: 1fr; border: round $surface-lighten-2; border-title-color: $text-muted; padding: 0; }
.pane:focus { border: round $accent; border-title-color: $text-accent; }
#units { width: 63%; }
#beside { width: 1fr; height: 100%; }
#beside .pane { height: 1fr; }
Listing { background: $background; scrollbar-size-horizontal: 0; scrollbar-size-vertical: 1; }
.-narrow .pane, .-narrow .pane:focus { border: none; width: 1fr; height: 1fr; }
.-narrow #units, .-narrow #beside { width: 1fr; }
.listing--head { text-style: bold; color: $text-primary; background: $surface; }
.listing--sorted { text-style: bold; color: $text-accent; background: $surface; }
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
.listing--linked { background: $accent 35%; text-style: bold; }
.listing--heat0 { color: $text-muted; }
.listing--heat1 { background: $error 10%; color: $text; }
.listing--heat2 { background: $error 22%; color: $text; }
.listing--heat3 { background: $error 36%; color: $text; }
.listing--heat4 { background: $error 52%; color: $text; }
.listing--heat5 { background: $error 70%; color: $text; }
.listing--heat6 { background: $error 90%; color: $text; text-style: bold; }
.listing--warm0 { color: $success; }
.listing--warm1 { color: $error 40%; }
.listing--warm2 { color: $error 52%; }
.listing--warm3 { color: $error 64%; }
.listing--warm4 { color: $error 76%; }
.listing--warm5 { color: $error 88%; }
.listing--warm6 { color: $error; text-style: bold; }
.listing--death0 { color: $error; }
.listing--death1 { color: $warning; }
.listing--death2 { color: $accent; }
.listing--death3 { color: $secondary; }
.listing--death4 { color: $primary; }
.listing--death5 { color: $success; }
.listing--death6 { color: $warning-darken-2; }
.listing--death7 { color: $error-darken-2; }
.listing--birth { color: $text-success; }
.listing--free { color: $surface-lighten-2; }
.listing--corpse { color: $text-muted; }
.listing--chosen { background: $accent; color: $text; text-style: bold; }
Dialog { align: center middle; }
Dialog > Vertical { width: 76; max-width: 96%; height: auto; max-height: 94%; }
Dialog > Vertical { border: round $accent; background: $surface; padding: 0 1; }
Dialog #title { text-style: bold; color: $text-accent; }
Dialog #hint { color: $text-muted; }
Dialog OptionList { height: auto; max-height: 16; border: none; background: $surface; }
Dialog VerticalScroll { height: auto; max-height: 100%; }
"""
