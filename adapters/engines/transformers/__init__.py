"""The engine for graphics cards: one transformers model, any mix of PEFT adapters in one batch.

`engine.TransformersEngine` is what others use; the rest, from the outside in:

- `request`: one answer on its way between whoever reads it and the engine's thread;
- `line`: those who wait, in turn by adapter;
- `worker`: what the engine's thread does: one prompt's piece, one token for everybody, and so on;
- `prompt`, `prefixes`: reading a prompt, and what is remembered of earlier ones;
- `batch`, `cache`: the answers being written, and their keys and values;
- `drawing`, `pieces`: which token comes next, and the text that tokens make;
- `voices`: the adapters on the model; `loading`: the model.

Everything here but `loading` loads torch, so nothing outside imports it before the engine is wanted.
"""
