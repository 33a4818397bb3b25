"""Buckets and their objects in a browser."""

import json
import re
import urllib.request

from playwright.sync_api import expect

from readers import reader

KEY = "app/notes.txt"


def stored(site, key, *bodies):
    """An object with one version for each body."""
    for body in bodies:
        site.s3.put_object(Bucket=site.bucket, Key=key, Body=body)


def sent(page, tmp_path, name, body):
    """Sends a file with the form of the page that is shown."""
    file = tmp_path / name
    file.write_bytes(body)
    page.get_by_label("A file, to be stored as").set_input_files(file)
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_role("status")).to_have_text("The file is stored.")


def test_a_bucket_is_made_safe_and_its_settings_changed(http_server, visitor, tmp_path):
    name = f"made-{tmp_path.name.replace('_', '-')[:40]}"
    page = visitor.sign_in(http_server.user(f"maker-{name}"))
    page.get_by_role("link", name="Buckets", exact=True).click()
    expect(page.get_by_text("You have no bucket yet.")).to_be_visible()
    visitor.look("buckets-empty")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("status")).to_contain_text("versioned, encrypted")
    expect(page.get_by_text("There is nothing here yet.")).to_be_visible()
    page.get_by_role("link", name="Buckets", exact=True).last.click()
    for badge in ("versioned", "encrypted", "public access blocked", "guarded"):
        expect(page.get_by_text(badge, exact=True)).to_be_visible()
    visitor.look("buckets")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text("already")
    page.get_by_role("link", name=f"Settings of {name}").click()
    visitor.look("bucket")
    page.get_by_text("Suspend…").click()
    page.get_by_label("Type the name of the bucket to confirm").first.fill("another")
    page.get_by_role("button", name="Suspend versioning").click()
    expect(page.get_by_text("nothing was changed")).to_be_visible()
    page.go_back()
    page.get_by_text("Suspend…").click()
    page.get_by_label("Type the name of the bucket to confirm").first.fill(name)
    page.get_by_role("button", name="Suspend versioning").click()
    expect(page.get_by_role("status")).to_contain_text("No new versions")
    page.get_by_label("A lock is quiet after").fill("5")
    page.get_by_role("button", name="Change the guard").click()
    expect(page.get_by_role("status")).to_have_text("The guard is changed.")
    page.get_by_label("What breaks a rule is").select_option("observe")
    page.get_by_label("To make it weaker").fill(name)
    page.get_by_role("button", name="Change the guard").click()
    expect(page.get_by_text("guard observes", exact=True)).to_be_visible()
    page.get_by_text("Allow…").click()
    page.get_by_label("Type the name of the bucket to confirm").last.fill(name)
    page.get_by_role("button", name="Allow public access").click()
    expect(page.get_by_role("button", name="Block public access")).to_be_visible()
    visitor.look("bucket-weak")
    shown = json.loads(http_server.cli("bucket", "get", name, "-o", "json"))
    assert (shown["versioning"], shown["guard"]["stale_after_seconds"]) == ("Suspended", 300)
    assert shown["guard"]["lock_writes"] == "observe"
    page.get_by_role("button", name="Keep versions").click()
    page.get_by_role("button", name="Block public access").click()
    expect(page.get_by_text("public access blocked", exact=True)).to_be_visible()


def test_a_file_is_sent_shared_deleted_and_restored(http_site, visitor, tmp_path):
    site = http_site
    stored(site, KEY, b"one", b"two")
    stored(site, "app/deep/er.txt", b"x")
    page = visitor.sign_in(site.keys)
    visitor.open(f"/objects?bucket={site.bucket}")
    page.get_by_role("link", name="app/", exact=True).click()
    expect(page.get_by_role("link", name="deep/", exact=True)).to_be_visible()
    sent(page, tmp_path, "ä b.bin", b"\0" * (3 << 20))
    expect(page.get_by_role("link", name="ä b.bin", exact=True)).to_be_visible()
    assert len(site.object("app/ä b.bin")) == 3 << 20
    visitor.look("objects")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download notes.txt").click()
    assert download.value.suggested_filename == "notes.txt"
    assert download.value.path().read_bytes() == b"two"
    page.get_by_role("link", name="notes.txt", exact=True).click()
    page.get_by_label("A link for").select_option("900")
    page.get_by_role("button", name="Make a link").click()
    link = page.locator("#link").text_content()
    assert urllib.request.urlopen(link).read() == b"two", "whoever has the link reads it"
    visitor.look("object")
    page.get_by_text("Delete the object…").click()
    page.get_by_label("Type the key to confirm").fill(KEY)
    page.get_by_role("button", name="Delete the object").click()
    expect(page.get_by_role("status")).to_have_text("The object is deleted.")
    expect(page.get_by_role("link", name="notes.txt", exact=True)).to_have_count(0)
    page.get_by_role("link", name="With versions, and what was deleted").click()
    visitor.look("objects-versions")
    page.get_by_role("link", name="notes.txt", exact=True).first.click()
    expect(page.get_by_text("It is deleted.")).to_be_visible()
    visitor.look("object-deleted")
    page.get_by_role("button", name="Restore the object").click()
    expect(page.get_by_role("status")).to_have_text("The object is restored.")
    assert site.object(KEY) == b"two"
    page.get_by_role("button", name="Put in front").click()
    expect(page.get_by_role("status")).to_have_text("The version is the current one again.")
    assert site.object(KEY) == b"one"
    page.locator("tbody").get_by_role("link").filter(has_text=re.compile("^[^D]")).last.click()
    page.get_by_text("Delete this version…").click()
    visitor.look("object-version")
    page.get_by_label("Type the key to confirm").fill(KEY)
    page.get_by_role("button", name="Delete the version").click()
    expect(page.get_by_role("status")).to_have_text("The version is deleted, for good.")
    expect(page.locator("tbody tr")).to_have_count(2)


def test_a_refused_upload_says_why(http_site, visitor, tmp_path):
    site = http_site
    name = f"stranger-{site.bucket}"
    page = visitor.sign_in(reader(site, name))
    visitor.open(f"/objects?bucket={site.bucket}&prefix=app/")
    file = tmp_path / "f"
    file.write_bytes(b"x")
    page.get_by_label("A file, to be stored as").set_input_files(file)
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_role("alert")).to_contain_text("Access Denied")
    assert site.object("app/f") is None


def test_pages_follow_each_other(http_site, visitor):
    site = http_site
    for number in range(103):
        stored(site, f"many/{number:03}", b"x")
    page = visitor.sign_in(site.keys)
    for versions in ("", "&versions=1"):
        visitor.open(f"/objects?bucket={site.bucket}&prefix=many/{versions}")
        expect(page.locator("tbody tr")).to_have_count(100)
        page.get_by_role("link", name="More", exact=True).click()
        expect(page.locator("tbody tr")).to_have_count(3)


def test_files_are_sent_without_scripts(http_site, visitor_without_scripts, tmp_path):
    site, visitor = http_site, visitor_without_scripts
    stored(site, KEY, b"one")
    page = visitor.sign_in(site.keys)
    visitor.open(f"/objects?bucket={site.bucket}&prefix=app/")
    sent(page, tmp_path, "plain.txt", b"body")
    assert site.object("app/plain.txt") == b"body"
    visitor.open(f"/object?bucket={site.bucket}&key={KEY}")
    page.get_by_text("Delete the object…").click()
    page.get_by_label("Type the key to confirm").fill(KEY)
    page.get_by_role("button", name="Delete the object").click()
    page.get_by_role("link", name="With versions, and what was deleted").click()
    page.get_by_role("button", name="Restore notes.txt").click()
    expect(page.get_by_role("status")).to_have_text("The object is restored.")


def test_a_user_of_a_prefix_sees_only_theirs(http_site, visitor):
    site = http_site
    stored(site, KEY, b"one")
    stored(site, "secret/k", b"x")
    page = visitor.sign_in(reader(site, f"prefix-{site.bucket}"))
    page.get_by_role("link", name="Buckets", exact=True).click()
    visitor.look("buckets-of-a-prefix")
    page.get_by_label("Bucket", exact=True).fill(site.bucket)
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("You may not list this part of the bucket.")).to_be_visible()
    visitor.look("objects-denied")
    page.get_by_label("Keys that begin with").fill("app/")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="notes.txt", exact=True).click()
    expect(page.get_by_role("link", name="Download", exact=True)).to_be_visible()
    visitor.look("object-of-a-prefix")
    visitor.open(f"/object?bucket={site.bucket}&key=secret/k")
    expect(page.get_by_text("You may not read this object.")).to_be_visible()
    expect(page.get_by_text("The versions are not for you to see.")).to_be_visible()
    visitor.open(f"/bucket?bucket={site.bucket}")
    expect(page.get_by_text("Not for you to see.").first).to_be_visible()
    visitor.look("bucket-of-a-prefix")
