"""Users who may do less than the owner of a bucket."""

import json


def reader(site, name):
    """A user who may list and read what is under `app/`, and nothing else."""
    keys = site.server.user(name)
    policy = site.path / f"{name}.json"
    policy.write_text(json.dumps({
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket*",
             "Resource": f"arn:aws:s3:::{site.bucket}",
             "Condition": {"StringLike": {"s3:prefix": "app/*"}}},
            {"Effect": "Allow", "Action": "s3:GetObject*",
             "Resource": f"arn:aws:s3:::{site.bucket}/app/*"},
        ],
    }))
    site.server.cli("user", "policy", "put", name, "app", str(policy))
    return keys
