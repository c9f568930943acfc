"""One adapter per engine: build request, parse answer, map errors, health. Nothing else.

`Engine` (in `base`) is what all are; `build_engine` (in `build`) makes the one for some settings,
`EmbeddedEngine` (in `embedded.engine`) runs llama.cpp itself, and `discover` (in `discovery`) finds
servers on this machine. `design.md` says how it hangs together.
"""
