"""Where vectors come from: `contract` says what every source promises, `local` computes them in this process
without a network, `openai` asks any server that speaks the OpenAI interface."""
