// What a fake node says of a pod.
package main

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// isUnsettled is true for a new pod, and when an ephemeral container was added to a running one.
func isUnsettled(pod *corev1.Pod) bool {
	switch pod.Status.Phase {
	case corev1.PodSucceeded, corev1.PodFailed:
		return false
	case corev1.PodRunning:
		return len(pod.Status.EphemeralContainerStatuses) < len(pod.Spec.EphemeralContainers)
	}
	return true
}

// fakePodStatus lets a pod that restarts its containers for ever run, and any other succeed.
func fakePodStatus(pod *corev1.Pod, newAddress func() string) corev1.PodStatus {
	now := metav1.Now()
	status := pod.Status
	status.Phase = corev1.PodRunning
	running := pod.Spec.RestartPolicy == corev1.RestartPolicyAlways || pod.Spec.RestartPolicy == ""
	if !running {
		status.Phase = corev1.PodSucceeded
	}
	if status.StartTime == nil {
		status.StartTime = &now
	}
	if status.PodIP == "" {
		status.PodIP = newAddress()
		status.PodIPs = []corev1.PodIP{{IP: status.PodIP}}
	}
	status.Conditions = fakePodConditions(pod, running, now)
	status.InitContainerStatuses = nil
	for _, container := range pod.Spec.InitContainers {
		isSidecar := container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
		one := fakeContainerStatus(container.Name, container.Image, isSidecar && running, now)
		one.Ready = true
		status.InitContainerStatuses = append(status.InitContainerStatuses, one)
	}
	status.ContainerStatuses = nil
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, fakeContainerStatus(container.Name, container.Image, running, now))
	}
	status.EphemeralContainerStatuses = nil
	for _, container := range pod.Spec.EphemeralContainers {
		one := fakeContainerStatus(container.Name, container.Image, true, now)
		status.EphemeralContainerStatuses = append(status.EphemeralContainerStatuses, one)
	}
	return status
}

// fakePodConditions keeps those of others, such as PodScheduled.
func fakePodConditions(pod *corev1.Pod, running bool, now metav1.Time) []corev1.PodCondition {
	ready := corev1.ConditionFalse
	if running {
		ready = corev1.ConditionTrue
	}
	ours := map[corev1.PodConditionType]corev1.ConditionStatus{
		corev1.PodInitialized: corev1.ConditionTrue, corev1.ContainersReady: ready, corev1.PodReady: ready,
	}
	var conditions []corev1.PodCondition
	for _, condition := range pod.Status.Conditions {
		if _, replaced := ours[condition.Type]; !replaced {
			conditions = append(conditions, condition)
		}
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		conditions = append(conditions, corev1.PodCondition{Type: kind, Status: ours[kind], LastTransitionTime: now})
	}
	return conditions
}

func fakeContainerStatus(name, image string, running bool, now metav1.Time) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: name, Image: image, ImageID: image, ContainerID: "fake://" + name, Ready: running, Started: &running}
	if running {
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
	} else {
		status.State.Terminated = &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}
	}
	return status
}
