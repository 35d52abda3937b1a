-- Ends the run under way, or takes back one that has not begun: `homeostat chaos abort`.
local annotations = obj.metadata.annotations or {}
-- What was asked before is taken back in the same write, and so is the name beside it: it would be taken for ours.
for _, name in ipairs({ "approve", "reject", "run", "abort", "by" }) do
  annotations["homeostat.dev/" .. name] = nil
end
-- A word that was not heard yet.
local status = obj.status or {}
local word = "argo-cd-" .. (status.runNumber or 0)
if status.abort == word then
  word = word .. "-again"
end
annotations["homeostat.dev/abort"] = word
obj.metadata.annotations = annotations
return obj
