// For the CustomResourceDefinitions in its folder config/crds/bases: nothing is built.
module ecr-refresher.example/external-secrets

go 1.26.0

require github.com/external-secrets/external-secrets v0.16.2
