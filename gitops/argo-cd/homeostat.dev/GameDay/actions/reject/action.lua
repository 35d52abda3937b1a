-- Rejects the plan that is shown: `homeostat reject`.
local annotations = obj.metadata.annotations or {}
-- What was asked before is taken back in the same write, and so is the name beside it: it would be taken for ours.
for _, name in ipairs({ "approve", "reject", "run", "abort", "by" }) do
  annotations["homeostat.dev/" .. name] = nil
end
annotations["homeostat.dev/reject"] = obj.status.approval.hash
obj.metadata.annotations = annotations
return obj
