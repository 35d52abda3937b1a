// What users see over gRPC: the standard health service, broken in the same ways.
package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

type health struct {
	healthpb.UnimplementedHealthServer
	faults *faults
	ending context.Context
}

// Check fails as NOT_SERVING: that is how a gRPC service says what an HTTP service says by an error status.
func (h *health) Check(ctx context.Context, request *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	if request.GetService() != "" {
		return nil, status.Errorf(codes.NotFound, "there is no service %q here", request.GetService())
	}
	fault, _ := h.faults.now()
	if fault == nil || !fault.hits(fault.Path) {
		return answerOf(healthpb.HealthCheckResponse_SERVING), nil
	}
	switch fault.Kind {
	case kindFail:
		return answerOf(healthpb.HealthCheckResponse_NOT_SERVING), nil
	case kindSlow:
		return h.late(ctx, time.Duration(fault.Delay))
	case kindHang:
		return h.never(ctx)
	}
	return answerOf(healthpb.HealthCheckResponse_SERVING), nil
}

// Watch tells of each change of the fault; a share of the requests makes no sense for a stream, so any fail counts.
func (h *health) Watch(request *healthpb.HealthCheckRequest, stream grpc.ServerStreamingServer[healthpb.HealthCheckResponse]) error {
	last := healthpb.HealthCheckResponse_UNKNOWN
	for {
		fault, changed := h.faults.now()
		if state := watchedState(request.GetService(), fault); state != last {
			if err := stream.Send(answerOf(state)); err != nil {
				return err
			}
			last = state
		}
		select {
		case <-changed:
		case <-h.ending.Done():
			return status.Error(codes.Unavailable, "the service ends")
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func watchedState(service string, fault *fault) healthpb.HealthCheckResponse_ServingStatus {
	if service != "" {
		return healthpb.HealthCheckResponse_SERVICE_UNKNOWN
	}
	if fault != nil && fault.Kind == kindFail {
		return healthpb.HealthCheckResponse_NOT_SERVING
	}
	return healthpb.HealthCheckResponse_SERVING
}

func (h *health) late(ctx context.Context, delay time.Duration) (*healthpb.HealthCheckResponse, error) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-h.ending.Done():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return answerOf(healthpb.HealthCheckResponse_SERVING), nil
}

func (h *health) never(ctx context.Context) (*healthpb.HealthCheckResponse, error) {
	select {
	case <-h.ending.Done():
		return nil, status.Error(codes.Unavailable, "the service ends")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func answerOf(state healthpb.HealthCheckResponse_ServingStatus) *healthpb.HealthCheckResponse {
	return &healthpb.HealthCheckResponse{Status: state}
}
