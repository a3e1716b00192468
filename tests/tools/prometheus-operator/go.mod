// For the CustomResourceDefinitions in its folder example/prometheus-operator-crd: nothing is built.
module ecr-refresher.example/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
