module hami.test/api_proxy

go 1.26
