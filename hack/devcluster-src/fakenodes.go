// Fake nodes for a cluster without a real one: Node objects that stay Ready, whose pods claim to run.
//
// A pod scheduled to a fake node becomes Running and ready, or Succeeded if its containers are not meant to be restarted
// for ever. A pod that is being deleted goes at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	leaseSeconds = 40
	leaseRenewal = 10 * time.Second
	fakeWorkers  = 4
)

func runFakeNodes(args []string) error {
	if len(args) != 1 {
		return errors.New("fake-nodes is started by devcluster up only")
	}
	c, err := mustLoadCluster(args[0])
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	var names []string
	for number := range c.FakeNodes {
		names = append(names, fmt.Sprintf("fake-%d", number+1))
	}
	pods := newFakePods(client, names)
	go wait.UntilWithContext(ctx, func(ctx context.Context) { keepReady(ctx, client, names) }, leaseRenewal)
	return pods.run(ctx)
}

// keepReady makes what is missing and renews the leases; a node that a test deletes comes back, as a real one does.
func keepReady(ctx context.Context, client kubernetes.Interface, names []string) {
	for number, name := range names {
		err := makeFakeNode(ctx, client, name, number)
		if err == nil {
			err = renewLease(ctx, client, name)
		}
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "fake node %s: %v\n", name, err)
		}
	}
}

func makeFakeNode(ctx context.Context, client kubernetes.Interface, name string, number int) error {
	nodes := client.CoreV1().Nodes()
	known, err := nodes.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		labels := map[string]string{corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64"}
		known, err = nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	}
	if err != nil {
		return err
	}
	if isReady(known.Status.Conditions) {
		return nil
	}
	known.Status = fakeNodeStatus(number)
	_, err = nodes.UpdateStatus(ctx, known, metav1.UpdateOptions{})
	return err
}

func isReady(conditions []corev1.NodeCondition) bool {
	for _, condition := range conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func fakeNodeStatus(number int) corev1.NodeStatus {
	room := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("1000"),
	}
	now := metav1.Now()
	return corev1.NodeStatus{
		Capacity: room, Allocatable: room,
		Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("198.19.127.%d", 1+number%250)}},
		NodeInfo:  corev1.NodeSystemInfo{KubeletVersion: "fake", OperatingSystem: "linux", Architecture: "amd64"},
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "FakeNode", Message: "made by devcluster",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}},
	}
}

func renewLease(ctx context.Context, client kubernetes.Interface, name string) error {
	leases := client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now, seconds := metav1.NowMicro(), int32(leaseSeconds)
	known, err := leases.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}}
		lease.Spec = coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: &seconds, RenewTime: &now}
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	known.Spec.RenewTime = &now
	_, err = leases.Update(ctx, known, metav1.UpdateOptions{})
	return err
}

// fakePods acts on the pods of the fake nodes.
type fakePods struct {
	client   kubernetes.Interface
	nodes    map[string]bool
	informer cache.SharedIndexInformer
	queue    workqueue.TypedRateLimitingInterface[string]
	address  addressCounter
}

func newFakePods(client kubernetes.Interface, names []string) *fakePods {
	scheduled := func(options *metav1.ListOptions) {
		options.FieldSelector = fields.OneTermNotEqualSelector("spec.nodeName", "").String()
	}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(scheduled))
	pods := &fakePods{
		client:   client,
		nodes:    map[string]bool{},
		informer: factory.Core().V1().Pods().Informer(),
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
	}
	for _, name := range names {
		pods.nodes[name] = true
	}
	return pods
}

func (p *fakePods) run(ctx context.Context) error {
	_, err := p.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    p.enqueue,
		UpdateFunc: func(_, pod any) { p.enqueue(pod) },
	})
	if err != nil {
		return err
	}
	go p.informer.Run(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), p.informer.HasSynced) {
		return nil
	}
	for _, object := range p.informer.GetStore().List() {
		p.address.sawInUse(object.(*corev1.Pod).Status.PodIP)
	}
	for range fakeWorkers {
		go p.work(ctx)
	}
	<-ctx.Done()
	p.queue.ShutDown()
	return nil
}

func (p *fakePods) enqueue(object any) {
	pod := object.(*corev1.Pod)
	if p.nodes[pod.Spec.NodeName] {
		p.queue.Add(pod.Namespace + "/" + pod.Name)
	}
}

func (p *fakePods) work(ctx context.Context) {
	for {
		key, ended := p.queue.Get()
		if ended {
			return
		}
		if err := p.settle(ctx, key); err != nil {
			fmt.Fprintf(os.Stderr, "fake pod %s: %v\n", key, err)
			p.queue.AddRateLimited(key)
		} else {
			p.queue.Forget(key)
		}
		p.queue.Done(key)
	}
}

// settle brings one pod to where a kubelet would bring it. A conflict or a pod that is gone comes back as an event.
func (p *fakePods) settle(ctx context.Context, key string) error {
	object, known, err := p.informer.GetStore().GetByKey(key)
	if err != nil || !known {
		return err
	}
	pod := object.(*corev1.Pod).DeepCopy()
	pods := p.client.CoreV1().Pods(pod.Namespace)
	if pod.DeletionTimestamp != nil {
		now := int64(0)
		err = pods.Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: metav1.NewUIDPreconditions(string(pod.UID)),
		})
	} else if isUnsettled(pod) {
		pod.Status = fakePodStatus(pod, p.address.next)
		_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}

// addressCounter makes pod addresses up in 198.19.128.0/17, from which no cluster with a real node takes any.
type addressCounter struct {
	mutex sync.Mutex
	last  uint32
}

func (a *addressCounter) next() string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.last++
	return fmt.Sprintf("198.19.%d.%d", 128+a.last>>8&127, a.last&255)
}

func (a *addressCounter) sawInUse(address string) {
	var third, fourth uint32
	if _, err := fmt.Sscanf(address, "198.19.%d.%d", &third, &fourth); err == nil {
		a.last = max(a.last, (third-128)<<8|fourth)
	}
}
