-- Ends a pause: `homeostat resume`.
local annotations = obj.metadata.annotations or {}
-- What was asked before is taken back in the same write, and so is the name beside it: it would be taken for ours.
for _, name in ipairs({ "approve", "reject", "run", "abort", "by" }) do
  annotations["homeostat.dev/" .. name] = nil
end
annotations["homeostat.dev/pause"] = nil
-- Argo CD cannot tell an empty map from an empty list, and then leaves all as it was: so one annotation stays.
annotations["homeostat.dev/resumed"] = "in Argo CD"
obj.metadata.annotations = annotations
return obj
