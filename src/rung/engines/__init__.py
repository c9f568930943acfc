"""One adapter per engine: build request, parse answer, map errors, health. Nothing else.

`OpenAICompatibleEngine` (in `openai_compatible`) and `EmbeddedEngine` (in `embedded`) are `Engine`s
(in `base`); `discover` (in `discovery`) finds servers. `design.md` says how it hangs together.
"""
