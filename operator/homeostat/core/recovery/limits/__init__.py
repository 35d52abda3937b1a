"""What holds a policy that would act too often: budget, flapping, chains that do not help, storms, windows."""
