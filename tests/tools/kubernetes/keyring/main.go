// Command keyring says which credentials kubelet would send for images, by kubelet's own keyring.
//
// It reads the pull Secrets of a Pod and the images from standard input, and writes the credentials of
// each image to standard output, in the order in which kubelet would try them.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
)

type question struct {
	Secrets []v1.Secret `json:"secrets"`
	Images  []string    `json:"images"`
}

type answer struct {
	Image       string       `json:"image"`
	Credentials []credential `json:"credentials"`
}

type credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
	// The Secret, as NAMESPACE/NAME.
	Source string `json:"source"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked question
	if json.NewDecoder(os.Stdin).Decode(&asked) != nil {
		// Not the decoder's own words, which may quote a password.
		return fmt.Errorf("the input is not the JSON of Secrets and images")
	}
	// The node itself has no credentials: what is found is from the Secrets.
	ofNode := credentialprovider.UnionDockerKeyring{}
	keyring, err := secrets.MakeDockerKeyring(asked.Secrets, ofNode)
	if err != nil {
		return fmt.Errorf("kubelet cannot read one of the Secrets, so it would use none")
	}
	answers := make([]answer, 0, len(asked.Images))
	for _, image := range asked.Images {
		// As kubelet does it: a tag or a digest is no part of what is looked up.
		repository, _, _, err := parsers.ParseImageName(image)
		if err != nil {
			return err
		}
		answers = append(answers, answer{image, lookUp(keyring, repository)})
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func lookUp(keyring credentialprovider.DockerKeyring, image string) []credential {
	found, _ := keyring.Lookup(image)
	credentials := make([]credential, 0, len(found))
	for _, one := range found {
		source := ""
		if one.Source != nil && one.Source.Secret != nil {
			source = one.Source.Secret.Namespace + "/" + one.Source.Secret.Name
		}
		credentials = append(credentials, credential{one.Username, one.Password, source})
	}
	return credentials
}
