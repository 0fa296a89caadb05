from capsule import task

@task(name="main", allowed_files=["./data"])
def main() -> str:
    with open("./data/input.txt") as f:
        return f.read()
