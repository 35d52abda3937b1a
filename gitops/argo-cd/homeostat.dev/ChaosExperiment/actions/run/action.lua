-- Asks for a run. Asked twice before it has begun, it is one: `homeostat chaos run`.
local annotations = obj.metadata.annotations or {}
-- What was asked before is taken back in the same write, and so is the name beside it: it would be taken for ours.
for _, name in ipairs({ "approve", "reject", "run", "abort", "by" }) do
  annotations["homeostat.dev/" .. name] = nil
end
-- A word that this run has for itself, without a clock: pressed twice before it begins, it asks once.
local status = obj.status or {}
local word = "argo-cd-" .. (status.runNumber or 0) + 1
if status.run == word then
  word = word .. "-again"
end
annotations["homeostat.dev/run"] = word
obj.metadata.annotations = annotations
return obj
