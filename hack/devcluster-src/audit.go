// The audit log: which ServiceAccount asked for what. Tests compare it with the rights that we ask users for.
package main

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: None
    userGroups: ["system:serviceaccounts:kube-system"]
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
  - level: None
`

func (c *cluster) writeAuditPolicy() error {
	if !c.AuditLog {
		return nil
	}
	return writeFile(c.path("audit-policy.yaml"), []byte(auditPolicy))
}

func (c *cluster) auditFlags() []string {
	if !c.AuditLog {
		return nil
	}
	return []string{"--audit-policy-file=" + c.path("audit-policy.yaml"), "--audit-log-path=" + c.path("audit.log")}
}
