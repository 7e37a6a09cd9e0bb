"""The names under which spans are published, in one place.

``gen_ai.*`` is the OpenTelemetry semantic conventions for generative AI, which are still at the stage *Development*:
names move between releases, so they are written down here, with the version they were taken from, and not imported.
The attributes that may leave the machine are those that ``otlp.attributes`` gives one of these names, and no others.
"""

from __future__ import annotations

VERSION = "1.44.0"
SCHEMA_URL = f"https://opentelemetry.io/schemas/{VERSION}"

SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
ERROR_TYPE = "error.type"

OPERATION_NAME = "gen_ai.operation.name"
INVOKE_WORKFLOW = "invoke_workflow"
INVOKE_AGENT = "invoke_agent"
CHAT = "chat"
EXECUTE_TOOL = "execute_tool"

PROVIDER_NAME = "gen_ai.provider.name"
WORKFLOW_NAME = "gen_ai.workflow.name"
AGENT_ID = "gen_ai.agent.id"
AGENT_NAME = "gen_ai.agent.name"
REQUEST_MODEL = "gen_ai.request.model"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TOOL_NAME = "gen_ai.tool.name"
USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens"  # all of them: those from and into the cache are in it
USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"

# Ours: nobody else has these things.
RUN_ID = "swarm.run.id"
TASK_ID = "swarm.task.id"
ATTEMPT = "swarm.attempt"
GATE_ID = "swarm.gate.id"
JOURNAL_SEQ = "swarm.journal.seq"
SPAN_KIND = "swarm.span.kind"
OUTCOME = "swarm.outcome"
COST_USD = "swarm.cost_usd"
CHECK_NAME = "swarm.check.name"
IS_OPEN = "swarm.is_open"
DOWN_S = "swarm.down_s"
