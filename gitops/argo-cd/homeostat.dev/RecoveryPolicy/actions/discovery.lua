-- What can be asked of a policy now. Nothing here changes spec: it belongs to Git.
local annotations, plan = obj.metadata.annotations or {}, (obj.status or {}).plan or {}
local is_paused = annotations["homeostat.dev/pause"] ~= nil
local is_asked_for = plan.state == "AwaitingApproval"
local is_shown = is_asked_for or plan.state == "Suggested"

return {
  pause = { disabled = is_paused, iconClass = "fa fa-fw fa-pause-circle" },
  resume = { disabled = not is_paused, iconClass = "fa fa-fw fa-play-circle" },
  approve = { disabled = not is_asked_for, iconClass = "fa fa-fw fa-check-circle" },
  reject = { disabled = not is_shown, iconClass = "fa fa-fw fa-times-circle" },
}
