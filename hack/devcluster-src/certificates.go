// Certificates, keys and kubeconfigs of a cluster. They are made once; a file that exists is kept.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// identity is a key pair with its certificate, as PEM.
type identity struct {
	certificate []byte
	key         []byte
}

// authority signs certificates. etcd has one of its own: who may speak to the API server may not speak to etcd.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	pem         []byte
}

const validity = 10 * 365 * 24 * time.Hour

// makeCredentials writes the marker file last, so a half-written set is made anew.
func (c *cluster) makeCredentials() error {
	marker := c.path("pki", "complete")
	if _, err := os.Stat(marker); err == nil {
		return nil
	}
	kubernetes, err := c.newAuthority("ca")
	if err != nil {
		return err
	}
	etcd, err := c.newAuthority("etcd-ca")
	if err != nil {
		return err
	}
	if err := c.makeServingCertificates(kubernetes, etcd); err != nil {
		return err
	}
	if err := c.makeKubeconfigs(kubernetes); err != nil {
		return err
	}
	if err := c.makeServiceAccountKey(); err != nil {
		return err
	}
	return writeFile(marker, nil)
}

func (c *cluster) makeServingCertificates(kubernetes, etcd *authority) error {
	apiServer := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", c.hostAddress(), c.firstService()}
	for _, wanted := range []struct {
		file, user, group string
		signer            *authority
		names             []string
	}{
		{"apiserver", "kube-apiserver", "", kubernetes, apiServer},
		{"apiserver-to-kubelet", "kube-apiserver-kubelet-client", "system:masters", kubernetes, nil},
		{"kubelet", c.nodeName(), "", kubernetes, []string{c.nodeName(), c.nodeAddress()}},
		{"etcd", "etcd", "", etcd, []string{"localhost", "127.0.0.1"}},
		{"apiserver-to-etcd", "kube-apiserver", "", etcd, nil},
	} {
		made, err := wanted.signer.issue(wanted.user, wanted.group, wanted.names)
		if err != nil {
			return fmt.Errorf("certificate %s: %w", wanted.file, err)
		}
		if err := c.writeIdentity(wanted.file, made); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) makeKubeconfigs(signer *authority) error {
	for path, user := range map[string][2]string{
		c.kubeconfig(): {"admin", "system:masters"},
		c.path("pki", "kube-controller-manager.kubeconfig"): {"system:kube-controller-manager", "system:masters"},
		c.path("pki", "kube-scheduler.kubeconfig"):          {"system:kube-scheduler", ""},
		c.path("pki", "kubelet.kubeconfig"):                 {"system:node:" + c.nodeName(), "system:nodes"},
		c.path("pki", "kube-proxy.kubeconfig"):              {"system:kube-proxy", ""},
	} {
		made, err := signer.issue(user[0], user[1], nil)
		if err != nil {
			return fmt.Errorf("certificate of %s: %w", user[0], err)
		}
		if err := c.writeKubeconfig(path, signer, made); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) writeKubeconfig(path string, signer *authority, user identity) error {
	config := clientcmdapi.NewConfig()
	config.Clusters[c.Name] = &clientcmdapi.Cluster{Server: c.apiServerURL(), CertificateAuthorityData: signer.pem}
	config.AuthInfos[c.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: user.certificate, ClientKeyData: user.key}
	config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: c.Name}
	config.CurrentContext = c.Name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return writeFile(path, data)
}

func (c *cluster) makeServiceAccountKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := privatePEM(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writeFile(c.path("pki", "service-accounts.key"), private); err != nil {
		return err
	}
	return writeFile(c.path("pki", "service-accounts.pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}

func (c *cluster) newAuthority(file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := newTemplate("homeostat devcluster "+c.Name+" "+file, "")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, err
	}
	private, err := privatePEM(key)
	if err != nil {
		return nil, err
	}
	made := identity{certificate: certificatePEM(raw), key: private}
	return &authority{certificate, key, made.certificate}, c.writeIdentity(file, made)
}

func (a *authority) issue(user, group string, names []string) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	template := newTemplate(user, group)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(names) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	for _, name := range names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return identity{}, err
	}
	private, err := privatePEM(key)
	return identity{certificate: certificatePEM(raw), key: private}, err
}

func newTemplate(user, group string) *x509.Certificate {
	subject := pkix.Name{CommonName: user}
	if group != "" {
		subject.Organization = []string{group}
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &x509.Certificate{
		Subject:      subject,
		SerialNumber: serial,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(validity),
	}
}

func (c *cluster) writeIdentity(file string, made identity) error {
	if err := writeFile(c.path("pki", file+".key"), made.key); err != nil {
		return err
	}
	return writeFile(c.path("pki", file+".crt"), made.certificate)
}

func certificatePEM(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}

func privatePEM(key *ecdsa.PrivateKey) ([]byte, error) {
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), nil
}
