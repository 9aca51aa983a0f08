//go:build s3

package object

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	tries      = 8                // of a request, with up to a second between them
	answerTime = 30 * time.Second // until a server begins to answer
	partSize   = 64 << 20         // of objects larger than this, which appear when all parts are there
)

// open connects once: what a user says in the environment does not change.
var open = sync.OnceValues(connect)

// connect takes the server, region and credentials from where the tools of AWS look for them:
// AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and its like,
// ~/.aws/credentials, and the role of the machine.
func connect() (*minio.Core, error) {
	first := func(names ...string) string {
		for _, name := range names {
			if value := os.Getenv(name); value != "" {
				return value
			}
		}
		return ""
	}
	server := first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
	if server == "" {
		server = "https://s3.amazonaws.com"
	}
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the server %q of AWS_ENDPOINT_URL is no http:// or https:// address", server)
	}
	transport, err := minio.DefaultTransport(u.Scheme == "https")
	if err != nil {
		return nil, err
	}
	transport.ResponseHeaderTimeout, transport.MaxIdleConnsPerHost = answerTime, 64
	who := credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	})
	// A role is asked for in vain where there is none, for a second.
	of, err := who.GetWithContext(&credentials.CredContext{Client: &http.Client{Timeout: time.Second}})
	if err != nil || of.SignerType.IsAnonymous() {
		return nil, errors.New("no credentials; want AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile in ~/.aws/credentials, or a machine with a role")
	}
	return minio.NewCore(u.Host, &minio.Options{
		Creds: who, Secure: u.Scheme == "https", Region: first("AWS_REGION", "AWS_DEFAULT_REGION"), Transport: transport, MaxRetries: tries,
	})
}

// at is the store of an address, its bucket and key.
func at(address string) (c *minio.Core, bucket, key string, err error) {
	if bucket, key, err = split(address); err != nil {
		return nil, "", "", err
	}
	if c, err = open(); err != nil {
		return nil, "", "", &Error{address, "cannot be reached", err}
	}
	return c, bucket, key, nil
}

// Check says what is wrong with an address, as far as can be seen without a request.
func Check(address string) error {
	_, _, _, err := at(address)
	return err
}

// failed says what a server has against a request.
func failed(address, problem string, err error) error {
	var of minio.ErrorResponse
	errors.As(err, &of)
	switch of.Code {
	case "NoSuchBucket":
		return &Error{address, "there is no such bucket", fs.ErrNotExist}
	case "NoSuchKey", "NotFound":
		return &Error{address, "there is no such object", fs.ErrNotExist}
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken":
		return &Error{address, problem + ": the credentials are refused", err}
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable":
		return &Error{address, fmt.Sprintf("%s: the server is too busy, %d times in a row; the same command goes on later", problem, tries), err}
	case "PreconditionFailed":
		return &Error{address, "was changed while it was read", nil}
	}
	return &Error{address, problem, err}
}

// Open opens an object for reading.
func Open(ctx context.Context, address string) (*File, error) {
	c, bucket, key, err := at(address)
	if err != nil {
		return nil, err
	}
	of, err := c.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err != nil {
		return nil, failed(address, "cannot be opened", err)
	}
	return file(ctx, c, bucket, key, address, of.Size, of.ETag, of.LastModified), nil
}

// OpenSized opens an object whose size is known from a list.
func OpenSized(ctx context.Context, address string, size int64) (*File, error) {
	c, bucket, key, err := at(address)
	if err != nil {
		return nil, err
	}
	return file(ctx, c, bucket, key, address, size, "", time.Time{}), nil
}

func file(ctx context.Context, c *minio.Core, bucket, key, address string, size int64, tag string, changed time.Time) *File {
	return &File{address: address, size: size, changed: changed, fetch: func(p []byte, from int64) error {
		var err error
		for range 3 { // an answer may be cut, where asking is tried again by itself
			if err = get(ctx, c, bucket, key, tag, p, from); err == nil || ctx.Err() != nil {
				break
			}
		}
		if err != nil {
			return failed(address, "cannot be read", err)
		}
		return nil
	}}
}

// get fills p with an object's bytes, of the object that has this tag if there is one.
func get(ctx context.Context, c *minio.Core, bucket, key, tag string, p []byte, from int64) error {
	if len(p) == 0 {
		return nil
	}
	var o minio.GetObjectOptions
	err := o.SetRange(from, from+int64(len(p))-1)
	if err == nil && tag != "" {
		err = o.SetMatchETag(tag)
	}
	if err != nil {
		return err
	}
	body, _, _, err := c.GetObject(ctx, bucket, key, o)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.ReadFull(body, p)
	return err
}

// Put writes an object, whole or not at all.
func Put(ctx context.Context, address string, r io.ReadSeeker, size int64) error {
	c, bucket, key, err := at(address)
	if err != nil {
		return err
	}
	if _, err := c.Client.PutObject(ctx, bucket, key, r, size, minio.PutObjectOptions{ContentType: kind(key), PartSize: partSize, NumThreads: 1}); err != nil {
		return failed(address, "cannot be written", err)
	}
	return nil
}

// kind is what a browser is told of an object.
func kind(key string) string {
	switch {
	case strings.HasSuffix(key, ".png"):
		return "image/png"
	case strings.HasSuffix(key, ".tar"):
		return "application/x-tar"
	}
	return "application/octet-stream"
}

func list(ctx context.Context, address string, below bool, visit func(Info) error) error {
	c, bucket, key, err := at(address)
	if err != nil {
		return err
	}
	if key = strings.TrimRight(key, "/"); key != "" {
		key += "/"
	}
	for o := range c.Client.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: key, Recursive: below}) {
		if o.Err != nil {
			return failed(address, "cannot be listed", o.Err)
		}
		if name := strings.TrimPrefix(o.Key, key); name != "" {
			if err := visit(Info{name, o.Size}); err != nil {
				return err
			}
		}
	}
	return nil
}
