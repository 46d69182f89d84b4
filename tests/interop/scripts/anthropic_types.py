"""Types by name, blocks made by hand, caches and thinking, dict()"""

import anthropic
from anthropic.types import Message, MessageParam, TextBlock, ToolUseBlock
from anthropic.types.text_block import TextBlock as SameBlock

client = anthropic.Anthropic()


def hinted(messages: list[MessageParam]) -> ToolUseBlock:
    """Only to be hinted."""


answer = client.messages.create(
    model="claude-sonnet-4-5",
    max_tokens=3000,
    system=[{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}],
    messages=[{"role": "user", "content": [{"type": "text", "text": "Say hello", "cache_control": {"type": "ephemeral"}}]}],
    thinking={"type": "enabled", "budget_tokens": 1024},
    metadata={"user_id": "ada"},
)
print([block.type for block in answer.content], answer.stop_reason, sorted(dict(answer)), sorted(answer.model_fields_set))
texts = [block for block in answer.content if isinstance(block, TextBlock)]
print(len(texts), texts[0].citations, sorted(dict(texts[0])), isinstance(answer, Message), SameBlock is TextBlock)
print(Message.model_validate(answer.model_dump()).content[-1].text == texts[-1].text)
print(TextBlock(type="text", text="x", citations=None).text, anthropic.__version__.split(".")[0])
