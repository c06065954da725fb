"""What is said of topics that are not as they have to be."""

from __future__ import annotations

import dataclasses

import pytest

from stream.errors import TopicsError
from stream.kafka.topics import WORKERS, FoundTopic, all_topics, changelog_name, destinations, problems
from stream.language.checker import load


def found(partitions: int = 8) -> dict[str, FoundTopic]:
    """All topics just as they are wanted."""
    return {
        topic.name: FoundTopic(topic.name, partitions, 1, {setting.name: setting.value for setting in topic.settings})
        for topic in all_topics()
    }


def having(name: str, **values: str) -> dict[str, FoundTopic]:
    """One topic with other settings; underscores stand for dots."""
    topics = found()
    settings = {**topics[name].settings, **{key.replace("_", "."): value for key, value in values.items()}}
    topics[name] = dataclasses.replace(topics[name], settings=settings)
    return topics


def test_topics_as_they_are_wanted_have_no_problems() -> None:
    assert problems(all_topics(), found()) == []
    assert problems(all_topics(), found(), 8) == []
    assert problems(all_topics(), found(3), None) == []


def test_the_changelog_is_named_after_the_app() -> None:
    assert changelog_name("shop") == "shop-profiles-changelog"
    assert all_topics("shop")[-1].name == "shop-profiles-changelog"


def test_each_missing_topic_is_named() -> None:
    topics = found()
    del topics["clicks"], topics["memberships"]
    assert problems(all_topics(), topics) == [
        "topic clicks is missing: `segstream topics create` makes it",
        "topic memberships is missing: `segstream topics create` makes it",
    ]


def test_another_number_of_partitions_than_wanted() -> None:
    topics = found()
    topics["dead-letters"] = dataclasses.replace(topics["dead-letters"], partitions=1)
    assert problems(all_topics(), topics, 8) == [
        "topic dead-letters has 1 partition, not 8: give --partitions 1, or delete the topic first"
    ]


@pytest.mark.parametrize("name", ["purchases", "emails", "customer-erasures", changelog_name("segstream")])
def test_a_customers_partition_must_have_one_number(name: str) -> None:
    topics = found()
    topics[name] = dataclasses.replace(topics[name], partitions=4)
    assert problems(all_topics(), topics) == [
        f"topic {name} has 4 partitions, but clicks has 8: "
        "a customer's events would lie apart, so all must have equally many"
    ]


@pytest.mark.parametrize("name", ["segment-changes", "memberships", "dead-letters"])
def test_of_other_topics_any_number_will_do(name: str) -> None:
    topics = found()
    topics[name] = dataclasses.replace(topics[name], partitions=3)
    assert problems(all_topics(), topics) == []


def test_a_topic_with_a_number_of_its_own_may_have_any() -> None:
    topics = found()
    topics[WORKERS] = dataclasses.replace(topics[WORKERS], partitions=3)
    assert problems(all_topics(), topics) == []
    assert problems(all_topics(), topics, 8) == []


CHANGELOG = changelog_name("segstream")
HARMFUL = [
    (CHANGELOG, "cleanup_policy", "delete"),
    (CHANGELOG, "cleanup_policy", "compact,delete"),
    (CHANGELOG, "min_compaction_lag_ms", "0"),
    (CHANGELOG, "segment_bytes", "1073741824"),
    (CHANGELOG, "min_cleanable_dirty_ratio", "0.5"),
    (CHANGELOG, "max_message_bytes", "1048588"),
    ("dead-letters", "max_message_bytes", "1048588"),
    ("memberships", "cleanup_policy", "delete"),
    ("clicks", "max_message_bytes", "1000"),
    (WORKERS, "cleanup_policy", "compact"),
    (WORKERS, "retention_ms", "604800000"),
]


@pytest.mark.parametrize(("topic", "setting", "value"), HARMFUL)
def test_a_setting_that_would_do_harm(topic: str, setting: str, value: str) -> None:
    (problem,) = problems(all_topics(), having(topic, **{setting: value}))
    assert problem.startswith(f"topic {topic} has {setting.replace('_', '.')}={value}, and needs ")
    assert problem.endswith("set it with your broker's tools")


SAFE = [
    (CHANGELOG, "min_compaction_lag_ms", "3600000"),
    (CHANGELOG, "segment_bytes", "1048576"),
    (CHANGELOG, "min_cleanable_dirty_ratio", "0.01"),
    (CHANGELOG, "max_message_bytes", "8388608"),
    (CHANGELOG, "retention_ms", "-1"),
    (WORKERS, "cleanup_policy", "delete,compact"),
    (WORKERS, "retention_ms", "60000"),
]


@pytest.mark.parametrize(("topic", "setting", "value"), SAFE)
def test_a_setting_that_is_on_the_safe_side(topic: str, setting: str, value: str) -> None:
    assert problems(all_topics(), having(topic, **{setting: value})) == []


def test_what_a_broker_does_not_tell_is_taken_for_right() -> None:
    topics = {name: dataclasses.replace(topic, settings={}) for name, topic in found().items()}
    assert problems(all_topics(), topics) == []


DEFINITIONS = """version: 1
segments:
  a: {enter: count(click) >= 1, to: [mail, ads]}
  b: {enter: count(click) >= 2, to: [mail]}
"""


def test_destinations_are_among_the_topics_once() -> None:
    names = destinations(load(DEFINITIONS, "x.yaml"))
    assert names == ("ads", "mail")
    assert [topic.name for topic in all_topics(destinations=names)][-2:] == ["ads", "mail"]


@pytest.mark.parametrize("name", ["clicks", "dead-letters", "segstream-profiles-changelog"])
def test_a_destination_may_be_no_topic_of_ours(name: str) -> None:
    with pytest.raises(TopicsError, match=f"`to: {name}`: this topic has another use"):
        all_topics(destinations=[name])
