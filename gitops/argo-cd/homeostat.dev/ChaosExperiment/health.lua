-- Health of all kinds of homeostat.dev, by the rules of kstatus: Ready says whether the spec is accepted and evaluated,
-- and never whether an objective is met. What is wrong with the service itself is told in the message; who wants it to
-- fail a sync sets the annotation homeostat.dev/degraded-on-breach: "true" on the object.
--
-- No library is used: a script of argocd-cm has none.

-- Reasons of Ready=False that end by themselves, once another object of the same sync is there.
local awaited = { HealthCheckNotRunning = true, NotCounted = true, SecretNotFound = true }

-- Conditions that say that something is wrong with what is looked at, the gravest first.
local breaches = {
  { type = "Reverted", status = "False", reason = "RecoveryFailed" },
  { type = "Escalated", status = "True" },
  { type = "BudgetExhausted", status = "True" },
  { type = "ObjectiveMet", status = "False" },
  { type = "BurnRateHigh", status = "True" },
  { type = "Healthy", status = "False" },
  { type = "Succeeded", status = "False" },
}

local metadata, spec, status = obj.metadata or {}, obj.spec or {}, obj.status or {}
local annotations = metadata.annotations or {}

local function find(type)
  for _, condition in ipairs(status.conditions or {}) do
    if condition.type == type then
      return condition
    end
  end
  return nil
end

local function is(type, value)
  local condition = find(type)
  return condition ~= nil and condition.status == value
end

local function told(condition)
  if condition.message == nil or condition.message == "" then
    return condition.reason
  end
  return condition.reason .. ": " .. condition.message
end

local function breach()
  for _, one in ipairs(breaches) do
    local condition = find(one.type)
    if condition ~= nil and condition.status == one.status and condition.reason == (one.reason or condition.reason) then
      return condition
    end
  end
  return nil
end

local function health(value, message)
  return { status = value, message = message }
end

if metadata.deletionTimestamp ~= nil then
  return health("Progressing", "It is being deleted; what it did to the cluster is undone first.")
end
if status.observedGeneration == nil or status.observedGeneration ~= metadata.generation then
  return health("Progressing", "The operator has not evaluated this version yet.")
end
if is("Reconciling", "True") then
  return health("Progressing", told(find("Reconciling")))
end
if is("Stalled", "True") then
  return health("Degraded", told(find("Stalled")))
end

local ready = find("Ready")
if ready == nil then
  return health("Progressing", "The operator has not said yet whether it is ready.")
end
if ready.status == "False" and not awaited[ready.reason] then
  return health("Degraded", told(ready))
end
if ready.status ~= "True" then
  return health("Progressing", told(ready))
end
if spec.suspend then
  return health("Suspended", "spec.suspend is set.")
end
if annotations["homeostat.dev/pause"] ~= nil then
  return health("Suspended", "Paused: " .. annotations["homeostat.dev/pause"])
end

local wrong = breach()
if wrong == nil then
  return health("Healthy", told(ready))
end
if annotations["homeostat.dev/degraded-on-breach"] == "true" then
  return health("Degraded", told(wrong))
end
return health("Healthy", told(wrong))
