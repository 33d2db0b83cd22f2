"""A checkout that survives anything: five steps, four services that fail, one workflow.

Put the folder above this one on `sys.path` and give Tasker `ecommerce.WORKFLOW` and `ecommerce.handlers`.
"""

from pathlib import Path

WORKFLOW = Path(__file__).parent / "workflow.yaml"
LEGACY_WORKFLOW = Path(__file__).parent / "legacy" / "workflow.yaml"
