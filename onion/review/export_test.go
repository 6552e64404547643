package review

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// Routes lists what the router serves.
func Routes(h http.Handler) gin.RoutesInfo { return h.(*Review).engine.Routes() }
