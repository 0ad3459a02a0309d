"""The x86-64 host: registers, encoder, emitter, lowering and disassembler."""
