"""KubeSpawner's profiles: their requests, and the mark that they leave on a pod."""

from __future__ import annotations

import pytest
import respx
from jupyterhub.spawner import SimpleLocalProcessSpawner
from kubespawner import KubeSpawner
from traitlets.config import Config

from jupyterhub_usage_quotas import UsageQuotaManager, conventions
from jupyterhub_usage_quotas.hub.launch.denial import LaunchDenied
from jupyterhub_usage_quotas.hub.launch.profiles import stamp_profile
from jupyterhub_usage_quotas.hub.launch.request import offers_of, read_launch
from jupyterhub_usage_quotas.quotas.resources import RESOURCES
from tests.support.fake_prometheus import URL, alive
from tests.support.hub_objects import hub_user
from tests.support.resources import ASKED

GIB = 1024**3
USER = hub_user("ada", admin=True)

PROFILES = [
    {"display_name": "Small {x}", "default": True},
    {
        "display_name": "GPU <large>",
        "slug": "gpu-large",
        "kubespawner_override": {
            "mem_guarantee": "8G",
            "cpu_guarantee": lambda spawner: 3,
            "extra_resource_limits": {"nvidia.com/gpu": "1"},
            "extra_annotations": {"set-by": "the profile"},
        },
    },
]


def spawner(**options) -> KubeSpawner:
    made = KubeSpawner(_mock=True, profile_list=PROFILES, mem_guarantee="1G", **options)
    made.user_options = {"profile": "gpu-large"}
    return made


async def test_every_profile_on_offer_has_a_request():
    launch = await read_launch(USER, spawner(), ASKED)
    assert {name: dict(one.rates) for name, one in launch.profiles.items()} == {
        "Small {x}": {"memory": GIB, "cpu": 0, "gpu": 0, "time": 1},
        "GPU <large>": {"memory": 8 * GIB, "cpu": 3, "gpu": 1, "time": 1},
    }
    assert launch.request.profile_name == "GPU <large>"
    assert launch.request.server.gpu
    assert launch.request.subject.admin


async def test_without_a_choice_it_is_the_default_profile():
    undecided = spawner()
    undecided.user_options = {}
    launch = await read_launch(USER, undecided, ASKED)
    assert launch.request.profile_name == "Small {x}"
    assert launch.request.profile  # the slug that KubeSpawner made of the name


async def test_overrides_that_depend_on_what_was_there_are_applied_once():
    """By KubeSpawner, when the server starts; a launch only looks at what they will make of it."""
    profile = {
        "display_name": "Twice",
        "kubespawner_override": {
            "mem_guarantee": lambda spawner: spawner.mem_guarantee * 2,
            "environment": {"SET": "by the profile"},
            "extra_resource_limits": {"nvidia.com/gpu": "1"},
        },
    }
    made = KubeSpawner(
        _mock=True, profile_list=[profile], mem_guarantee="1G", environment={"OWN": "1"}
    )
    made.user_options = {}
    for _ in range(2):
        launch = await read_launch(USER, made, ASKED)
        assert dict(launch.request.rates) == {"memory": 2 * GIB, "cpu": 0, "gpu": 1, "time": 1}
        assert made.mem_guarantee == GIB
        assert made.environment == {"OWN": "1"}
        assert made.extra_resource_limits == {}
    await made.load_user_options()
    assert made.mem_guarantee == 2 * GIB


def changing(spawner: KubeSpawner) -> str:
    """An override that changes more than it says."""
    spawner.cpu_guarantee = 16
    spawner.environment["X"] = "1"
    spawner.extra_resource_limits = {"nvidia.com/gpu": "8"}
    return "64G"


@pytest.mark.parametrize("look", ["launch", "page"])
async def test_what_is_on_offer_and_not_chosen_changes_nothing(look):
    profiles = [
        {"display_name": "Big", "slug": "big", "kubespawner_override": {"mem_guarantee": changing}},
        {"display_name": "Small", "slug": "small", "kubespawner_override": {"cpu_limit": 2}},
        {
            "display_name": "Choice",
            "slug": "choice",
            "profile_options": {
                "size": {"choices": {"all": {"kubespawner_override": {"mem_guarantee": changing}}}}
            },
        },
    ]
    made = KubeSpawner(_mock=True, profile_list=profiles, mem_guarantee="1G")
    made.user_options = {"profile": "small"}
    if look == "launch":
        launch = await read_launch(USER, made, RESOURCES)
        assert dict(launch.request.rates) == {"memory": GIB, "cpu": 2, "gpu": 0, "time": 1}
        offers = launch.offers
    else:
        offers = await offers_of(USER, made, RESOURCES)
    assert (made.cpu_guarantee, made.environment, made.extra_resource_limits) == (None, {}, {})
    assert made.user_options == {"profile": "small"}
    by_slug = {one.request.profile: dict(one.request.rates) for one in offers}
    assert by_slug["small"] == {"memory": GIB, "cpu": 2, "gpu": 0, "time": 1}


async def test_other_spawners_have_no_profiles():
    launch = await read_launch(USER, SimpleLocalProcessSpawner(), ASKED)
    assert (launch.request.profile, launch.request.profile_name) == ("", "")
    assert launch.profiles == {}
    stamp_profile(SimpleLocalProcessSpawner(), "", "")


def admins_hook(spawner, pod):
    pod.metadata.annotations["also"] = "the admin's"
    return pod


async def admins_async_hook(spawner, pod):
    return admins_hook(spawner, pod)


@pytest.mark.parametrize("hook", [None, admins_hook, admins_async_hook])
async def test_the_profile_is_written_on_the_pod_as_it_is_sent_to_kubernetes(hook):
    """The way KubeSpawner goes: the hook, the profile once more, the manifest, the pod's hook."""
    made = spawner(modify_pod_hook=hook)
    request = (await read_launch(USER, made, ASKED)).request
    for _ in range(3):  # it can be started again
        stamp_profile(made, request.profile, request.profile_name)
    await made.load_user_options()
    pod = await made.get_pod_manifest()
    pod = await made.modify_pod_hook(made, pod)
    annotations = pod.metadata.annotations
    assert annotations[conventions.ANNOTATION_PROFILE] == "gpu-large"
    assert annotations[conventions.ANNOTATION_PROFILE_NAME] == "GPU <large>"
    assert annotations["set-by"] == "the profile"
    assert annotations["hub.jupyter.org/username"]
    assert annotations.get("also") == ("the admin's" if hook else None)


@pytest.mark.parametrize(
    ("annotation", "label"),
    [
        (conventions.ANNOTATION_PROFILE, conventions.KSM_PROFILE_LABEL),
        (conventions.ANNOTATION_PROFILE_NAME, conventions.KSM_PROFILE_NAME_LABEL),
        ("hub.jupyter.org/username", conventions.KSM_USERNAME_LABEL),
        ("hub.jupyter.org/servername", conventions.KSM_SERVERNAME_LABEL),
    ],
)
def test_the_labels_are_what_kube_state_metrics_makes_of_the_annotations(annotation, label):
    """It prefixes the key and writes underscores for all but letters and digits."""
    made = "".join(one if one.isalnum() else "_" for one in annotation)
    assert label == f"annotation_{made}"


async def test_who_asks_for_too_much_is_told_the_largest_profile_that_fits():
    config = Config()
    config.UsageConfig.prometheus_url = URL
    config.UsageConfig.hub_namespace = "ns"
    config.UsageQuotaManager.policy = [
        {
            "resource": "gpu",
            "limit": "1 GPU-hours",
            "window": 7,
            "minimum_session": "2h",
            "scope": {"everyone": True},
        }
    ]
    manager = UsageQuotaManager(config=config)
    with respx.mock(base_url=URL) as router:
        router.route(method="POST").side_effect = alive
        with pytest.raises(LaunchDenied) as denied:
            await manager.pre_spawn_start(USER, spawner())
    await manager.aclose()
    assert "Choose a smaller server, for example “Small {x}”." in denied.value.jupyterhub_message
    assert denied.value.headers == {}
