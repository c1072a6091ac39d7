"""What each clause of a question asks for, and about which mentions, once all clauses have been read together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.language.actions import GLANCE, Action, actions_of
from assistant.language.clauses import Clause
from assistant.language.memory import points_back
from assistant.language.mentions import Mention
from assistant.language.screens import asks_advice
from assistant.language.words import find_phrase


@dataclass(frozen=True)
class Asked:
    """A clause with its actions and the mentions that they are about."""

    clause: Clause
    actions: tuple[Action, ...]
    mentions: tuple[Mention, ...]
    points_back: bool = False
    """Whether the mentions were found before this clause."""
    advice: bool = False
    """Whether it asks for what a doctor must answer."""


def asked_of(clauses: Sequence[Clause]) -> list[Asked]:
    """The clauses with their actions and mentions, pronouns and shared objects resolved within the question."""
    return _settle(_with_known_lesions(_without_glances([_read(clause) for clause in clauses])))


def _read(clause: Clause) -> Asked:
    unsearched = any(mention.role == "unsearched" for mention in clause.mentions) and not clause.targets
    actions = () if unsearched else tuple(actions_of(clause))
    advice = asks_advice(clause.full) and not (clause.targets and any(action.skill == "segment" for action in actions))
    return Asked(clause, () if advice else actions, clause.targets, advice=advice)


def _without_glances(asked: list[Asked]) -> list[Asked]:
    """'Take a look and ...': the look is a search for lesions only when nothing else is asked."""
    others = any(action.skill != GLANCE for item in asked for action in item.actions) or any(i.mentions for i in asked)
    plain: list[Asked] = []
    for item in asked:
        looks = [action for action in item.actions if action.skill == GLANCE]
        skills = [Action(action.arguments["skill"], needs_structures=False) for action in looks]
        kept = () if others else tuple(skills)
        plain.append(replace(item, actions=kept) if looks else item)
    return plain


def _with_known_lesions(asked: list[Asked]) -> list[Asked]:
    """'The tumour' beside a liver tumour named in the same question is that one."""
    known = [m for item in asked for m in item.mentions if m.is_lesion and not m.is_generic_lesion]
    unsearched = any(m.role == "unsearched" for item in asked for m in item.clause.mentions)
    settled: list[Asked] = []
    for item in asked:
        generic = any(m.is_generic_lesion for m in item.mentions) and not _is_other(item.clause)
        if generic and known:
            mentions = dict.fromkeys(known[0] if m.is_generic_lesion else m for m in item.mentions)
            settled.append(replace(item, mentions=tuple(mentions)))
        elif generic and unsearched:
            settled.append(replace(item, actions=(), mentions=()))
        else:
            settled.append(item)
    return settled


def _is_other(clause: Clause) -> bool:
    return find_phrase(("other", "else", "elsewhere", "remaining"), clause.text) is not None


def _settle(asked: list[Asked]) -> list[Asked]:
    """Give each action its mentions: its own, those it points back to, or those of the clause it shares them with."""
    settled: list[Asked] = []
    for index, item in enumerate(asked):
        if item.mentions or not any(action.needs_structures for action in item.actions):
            settled.append(item)
            continue
        before = next((other.mentions for other in reversed(settled) if other.mentions), ())
        following = asked[index + 1] if index + 1 < len(asked) else None
        near = following is not None and (not following.clause.opens_sentence or not following.actions)
        shares = near and following is not None and following.mentions
        if shares and not points_back(item.clause) and (not before or item.clause.opens_sentence):
            settled.append(replace(item, mentions=following.mentions if following else ()))
        else:
            settled.append(replace(item, mentions=before, points_back=bool(before)))
    return settled
