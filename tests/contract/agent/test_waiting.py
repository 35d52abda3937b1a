"""An agent that waits for the go."""

from contract.agent.running import running
from homeostat.core.orders import AgentState, OffReason


def test_an_agent_says_that_it_is_ready_again_until_the_go_and_never_after_it() -> None:
    """C2: whoever attaches late, or misses a word while the runtime connects, hears it from the agent itself."""
    with running("cpu", {"load": "10%"}) as agent:
        waiting = [agent.hear().state for _ in range(3)]
        on, next_word = agent.beat(), agent.hear()

    assert waiting == [AgentState.READY] * 3
    assert on.state is AgentState.ON
    assert (next_word.state, next_word.reason) == (AgentState.OFF, OffReason.LEASE)
