"""The installation as declared: Agency and SharingAgreement resources of a Kubernetes cluster, carried out."""
