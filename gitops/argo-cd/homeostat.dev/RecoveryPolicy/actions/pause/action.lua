-- Lets a policy do nothing until it is resumed: `homeostat pause`.
local annotations = obj.metadata.annotations or {}
-- What was asked before is taken back in the same write, and so is the name beside it: it would be taken for ours.
for _, name in ipairs({ "approve", "reject", "run", "abort", "by" }) do
  annotations["homeostat.dev/" .. name] = nil
end
annotations["homeostat.dev/pause"] = "paused in Argo CD"
annotations["homeostat.dev/resumed"] = nil
obj.metadata.annotations = annotations
return obj
