const CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

const GEMMA =
  "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else 'user' }}\n" +
  "{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}";

/** Tools stand before the first message, so that a prompt's beginning stays the same from turn to turn. */
const LLAMA3 = "{{ bos_token }}{% if tools %}<|start_header_id|>system<|end_header_id|>\n\n" +
  "These functions can be called. To call one, answer with nothing but JSON of this form: " +
  '{"name": "a function\'s name", "parameters": {"an argument\'s name": "its value"}}\n\n' +
  "{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|eot_id|>{% endif %}" +
  "{% for m in messages %}{% if m.content or not m.tool_calls %}" +
  "<|start_header_id|>{{ 'ipython' if m.role == 'tool' else m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>" +
  "{% endif %}{% for c in m.tool_calls or [] %}<|start_header_id|>assistant<|end_header_id|>\n\n" +
  '{"name": "{{ c.function.name }}", "parameters": {{ c.function.arguments | tojson }}}<|eot_id|>{% endfor %}{% endfor %}' +
  "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

/**
 * For files without a template: formats that a vocabulary betrays by the special token that opens a turn. The first is
 * for all others.
 */
export const FALLBACK_TEMPLATES: readonly [special: string, template: string][] = [
  ["<|im_start|>", CHATML],
  ["<start_of_turn>", GEMMA],
  ["<|start_header_id|>", LLAMA3],
];
