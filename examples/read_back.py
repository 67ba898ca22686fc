"""What was recorded, as pandas tables: by how much does the gradient change from layer to layer?"""

import gradscope

run = gradscope.open().runs().iloc[0]
print(f"run {run['id']}, {run['name']}: {run['status']}")

stats = gradscope.open().run(int(run["id"])).layer_stats()
last = stats[(stats["step"] == stats["step"].max()) & (stats["kind"] == "gradient")]
print(last[["layer", "name", "rms", "max_abs", "zeros"]].to_string(index=False))

ratio = last["rms"].iloc[0] / last["rms"].iloc[-1]
print(f"the first layer's gradient is {ratio:.2g} times the last one's")
