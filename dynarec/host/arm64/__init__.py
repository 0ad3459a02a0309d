"""The arm64 host: registers, encoder, emitter, lowering and disassembler."""
