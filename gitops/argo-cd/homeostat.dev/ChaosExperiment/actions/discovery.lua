-- What can be asked of an experiment now. Nothing here changes spec: it belongs to Git.
local annotations, spec, status = obj.metadata.annotations or {}, obj.spec or {}, obj.status or {}
local phase = status.phase or "Pending"
local is_at_rest = phase == "Pending" or phase == "Finished"
local wish = annotations["homeostat.dev/run"]
local is_wanted = wish ~= nil and wish ~= "" and wish ~= status.run
local is_asked_for = phase == "AwaitingApproval" and status.approval ~= nil

return {
  run = { disabled = spec.suspend == true or not is_at_rest, iconClass = "fa fa-fw fa-play-circle" },
  abort = { disabled = is_at_rest and not is_wanted, iconClass = "fa fa-fw fa-stop-circle" },
  approve = { disabled = not is_asked_for, iconClass = "fa fa-fw fa-check-circle" },
  reject = { disabled = not is_asked_for, iconClass = "fa fa-fw fa-times-circle" },
}
